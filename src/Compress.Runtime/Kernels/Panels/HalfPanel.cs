using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Compress.Formats.Gguf;

namespace Compress.Runtime.Kernels.Panels;

/// <summary>The types with blocks of 32 (Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, IQ4_NL): a half as scale, for some another as minimum.</summary>
/// <param name="type">The stored type.</param>
/// <param name="bits">Bits of a code.</param>
/// <param name="middle">The code that stands for 0; null where a minimum is stored.</param>
internal sealed unsafe class HalfPanel(GgmlType type, int bits, int? middle) : GgufPanel(type, bits, groups: 1)
{
    private readonly byte* levels = type == GgmlType.IQ4_NL ? NonLinearTable.Shifted : null;

    public override byte* Levels => levels;

    public override PanelScaling Scaling => middle is null ? PanelScaling.HalfWithMinimum : PanelScaling.HalfAroundMiddle;

    public override int Middle => middle ?? 0;

    private int Stride => middle is null ? 64 : 32;

    public override int ScaleBytes(int first, int count) => Stride * count;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void DecodeScales(byte* area, int first, int count, float* scales, float* offsets)
    {
        var from = (ushort*)area;
        var shift = Vector512.Create((float)-(middle ?? 0));
        for (var b = 0; b < count; b++, scales += 16, offsets += 16)
        {
            var scale = Widen.Half(Vector256.Load(from));
            scale.Store(scales);
            (middle is null ? Widen.Half(Vector256.Load(from + 16)) : scale * shift).Store(offsets);
            from += Stride / 2;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    protected override void Codes(byte* block, byte* codes)
    {
        switch (Type)
        {
            case GgmlType.Q8_0:
                (Vector256.Load(block + 2) ^ Vector256.Create((byte)128)).Store(codes);
                break;
            case GgmlType.Q5_0 or GgmlType.Q5_1:
                var at = Type == GgmlType.Q5_0 ? 2 : 4;
                Nibbles(block + at + 4, 16, codes);
                var high = Unsafe.ReadUnaligned<uint>(block + at);
                for (var i = 0; i < 32; i++) codes[i] |= (byte)((high >> i & 1) << 4);
                break;
            default:
                Nibbles(block + (Type == GgmlType.Q4_1 ? 4 : 2), 16, codes);
                break;
        }
    }

    protected override void PackScales(byte* block, byte* area, int index, int row)
    {
        var to = (ushort*)(area + (nint)index * Stride) + row;
        *to = Unsafe.ReadUnaligned<ushort>(block);
        if (middle is null) to[16] = Unsafe.ReadUnaligned<ushort>(block + 2);
    }
}

/// <summary>The levels of IQ4_NL and IQ4_XS, 128 added so that they are unsigned, four times: what a shuffle of 64 bytes looks up.</summary>
internal static unsafe class NonLinearTable
{
    /// <summary>64 bytes that live as long as the process.</summary>
    public static readonly byte* Shifted = Create();

    private static byte* Create()
    {
        var table = (byte*)NativeMemory.AlignedAlloc(64, 64);
        for (var i = 0; i < 64; i++) table[i] = (byte)(GgmlDecoder.NonLinearLevels[i % 16] + 128);
        return table;
    }
}
