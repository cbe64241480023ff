using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Compress.Formats.Gguf;

namespace Compress.Runtime.Kernels.Panels;

/// <summary>Types with superblocks of 256: a half (or two) for all, small integers for each group.</summary>
/// <param name="type">The stored type.</param>
/// <param name="bits">Bits of a code.</param>
/// <param name="groups">Groups of a block of 32 columns.</param>
/// <param name="halves">Halves of a superblock.</param>
/// <param name="packedBytes">Bytes of the sixteen rows' packed group scales in a superblock.</param>
internal abstract unsafe class KQuantPanel(GgmlType type, int bits, int groups, int halves, int packedBytes) : GgufPanel(type, bits, groups)
{
    /// <summary>Blocks of 32 columns in a superblock.</summary>
    protected const int SuperBlocks = 8;

    private readonly int superBytes = 32 * halves + packedBytes;

    /// <summary>Bytes before the packed group scales.</summary>
    protected int HalfBytes { get; } = 32 * halves;

    public override int ScaleBytes(int first, int count) => count / SuperBlocks * superBytes;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void DecodeScales(byte* area, int first, int count, float* scales, float* offsets)
    {
        for (var b = 0; b < count; b += SuperBlocks, area += superBytes)
        {
            DecodeSuper(area, scales, offsets);
            scales += SuperBlocks * Groups * 16;
            offsets += SuperBlocks * Groups * 16;
        }
    }

    protected override void PackScales(byte* block, byte* area, int index, int row) => PackSuper(block, area + (nint)index * superBytes, row);

    /// <summary>Scales and offsets of the groups of a superblock, sixteen rows each.</summary>
    protected abstract void DecodeSuper(byte* super, float* scales, float* offsets);

    /// <summary>Places one row's halves and group scales.</summary>
    protected abstract void PackSuper(byte* block, byte* super, int row);

    /// <summary>Puts 2 × <paramref name="groups"/> six-bit numbers a row, three bytes for four of them.</summary>
    /// <remarks>
    /// Byte <c>16·g + row</c> holds the low nibbles of <c>first[g]</c> and <c>second[g]</c>; behind these, byte <c>16·(g mod n/2) + row</c>
    /// holds both upper pairs of g and of g + n/2.
    /// </remarks>
    protected static void PackSixBits(byte* to, int groups, int row, int group, int first, int second)
    {
        to[16 * group + row] = (byte)((first & 15) | (second & 15) << 4);
        var half = groups / 2;
        to[16 * (groups + group % half) + row] |= (byte)(((first >> 4) | (second >> 4) << 2) << (4 * (group / half)));
    }

    /// <summary>Undoes <see cref="PackSixBits"/> for sixteen rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected static void SixBits(byte* from, int groups, int group, out Vector128<byte> first, out Vector128<byte> second)
    {
        var half = groups / 2;
        var low = Vector128.Load(from + 16 * group);
        var high = Vector128.Load(from + 16 * (groups + group % half));
        if (group >= half) high >>>= 4;
        first = (low & Vector128.Create((byte)15)) | (high & Vector128.Create((byte)3)) << 4;
        second = (low >>> 4) | (high & Vector128.Create((byte)12)) << 2;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected static Vector512<float> Halves(byte* super, int which) => Widen.Half(Vector256.Load((ushort*)super + 16 * which));

    protected static void PutHalf(byte* super, int which, int row, byte* from) =>
        ((ushort*)super)[16 * which + row] = Unsafe.ReadUnaligned<ushort>(from);
}

/// <summary>Q4_K and Q5_K: eight 6-bit scales and minima.</summary>
internal sealed unsafe class SixBitPanel(GgmlType type) : KQuantPanel(type, type == GgmlType.Q4_K ? 4 : 5, groups: 1, halves: 2, packedBytes: 192)
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    protected override void DecodeSuper(byte* super, float* scales, float* offsets)
    {
        Vector512<float> d = Halves(super, 0), minimum = -Halves(super, 1);
        for (var g = 0; g < 8; g++)
        {
            SixBits(super + HalfBytes, 8, g, out var scale, out var min);
            (Widen.Unsigned(scale) * d).Store(scales + 16 * g);
            (Widen.Unsigned(min) * minimum).Store(offsets + 16 * g);
        }
    }

    protected override void PackSuper(byte* block, byte* super, int row)
    {
        PutHalf(super, 0, row, block);
        PutHalf(super, 1, row, block + 2);
        for (var g = 0; g < 8; g++)
        {
            var (scale, min) = GgmlDecoder.SixBitScale(new ReadOnlySpan<byte>(block + 4, 12), g);
            PackSixBits(super + HalfBytes, 8, row, g, scale, min);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    protected override void Codes(byte* block, byte* codes)
    {
        var nibbles = block + (Type == GgmlType.Q4_K ? 16 : 48);
        for (var j = 0; j < 4; j++) Nibbles(nibbles + 32 * j, 32, codes + 64 * j);
        if (Type == GgmlType.Q5_K) AddBits(block + 16, codes, at: 4);
    }
}

/// <summary>Q6_K: sixteen signed 8-bit scales.</summary>
internal sealed unsafe class Q6KPanel() : KQuantPanel(GgmlType.Q6_K, 6, groups: 2, halves: 1, packedBytes: 256)
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    protected override void DecodeSuper(byte* super, float* scales, float* offsets)
    {
        var d = Halves(super, 0);
        var middle = Vector512.Create(-32f);
        for (var g = 0; g < 16; g++)
        {
            var scale = Widen.Signed(Vector128.Load((sbyte*)super + HalfBytes + 16 * g)) * d;
            scale.Store(scales + 16 * g);
            (scale * middle).Store(offsets + 16 * g);
        }
    }

    protected override void PackSuper(byte* block, byte* super, int row)
    {
        PutHalf(super, 0, row, block + 208);
        for (var g = 0; g < 16; g++) super[HalfBytes + 16 * g + row] = block[192 + g];
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    protected override void Codes(byte* block, byte* codes)
    {
        for (var half = 0; half < 2; half++)
        {
            Nibbles(block + 64 * half, 64, codes + 128 * half);
            AddPairs(block + 128 + 32 * half, codes + 128 * half, at: 4);
        }
    }
}

/// <summary>Q3_K: sixteen 6-bit scales around 32, codes around 4.</summary>
internal sealed unsafe class Q3KPanel() : KQuantPanel(GgmlType.Q3_K, 3, groups: 2, halves: 1, packedBytes: 192)
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    protected override void DecodeSuper(byte* super, float* scales, float* offsets)
    {
        var d = Halves(super, 0);
        Vector128<byte> middle = Vector128.Create((byte)32);
        var zero = Vector512.Create(-4f);
        for (var g = 0; g < 8; g++)
        {
            SixBits(super + HalfBytes, 8, g, out var first, out var second);
            var low = Widen.Signed((first - middle).AsSByte()) * d;
            var high = Widen.Signed((second - middle).AsSByte()) * d;
            low.Store(scales + 16 * g);
            (low * zero).Store(offsets + 16 * g);
            high.Store(scales + 16 * (g + 8));
            (high * zero).Store(offsets + 16 * (g + 8));
        }
    }

    protected override void PackSuper(byte* block, byte* super, int row)
    {
        PutHalf(super, 0, row, block + 108);
        for (var g = 0; g < 8; g++) PackSixBits(super + HalfBytes, 8, row, g, Scale(block + 96, g), Scale(block + 96, g + 8));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    protected override void Codes(byte* block, byte* codes)
    {
        AddPairs(block + 32, codes, at: 0);
        AddPairs(block + 64, codes + 128, at: 0);
        AddBits(block, codes, at: 2);
    }

    private static int Scale(byte* packed, int k) => ((packed[k & 7] >> (k >> 3 << 2)) & 15) | ((packed[8 + (k & 3)] >> (k >> 2 << 1)) & 3) << 4;
}

/// <summary>Q2_K: sixteen 4-bit scales and minima.</summary>
internal sealed unsafe class Q2KPanel() : KQuantPanel(GgmlType.Q2_K, 2, groups: 2, halves: 2, packedBytes: 256)
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    protected override void DecodeSuper(byte* super, float* scales, float* offsets)
    {
        Vector512<float> d = Halves(super, 0), minimum = -Halves(super, 1);
        for (var g = 0; g < 16; g++)
        {
            var both = Vector128.Load(super + HalfBytes + 16 * g);
            (Widen.Unsigned(both & Vector128.Create((byte)15)) * d).Store(scales + 16 * g);
            (Widen.Unsigned(both >>> 4) * minimum).Store(offsets + 16 * g);
        }
    }

    protected override void PackSuper(byte* block, byte* super, int row)
    {
        PutHalf(super, 0, row, block + 80);
        PutHalf(super, 1, row, block + 82);
        for (var g = 0; g < 16; g++) super[HalfBytes + 16 * g + row] = block[g];
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    protected override void Codes(byte* block, byte* codes)
    {
        AddPairs(block + 16, codes, at: 0);
        AddPairs(block + 48, codes + 128, at: 0);
    }
}

/// <summary>IQ4_XS: eight 6-bit scales around 32, codes that index sixteen levels.</summary>
internal sealed unsafe class Iq4XsPanel() : KQuantPanel(GgmlType.IQ4_XS, 4, groups: 1, halves: 1, packedBytes: 96)
{
    public override byte* Levels => NonLinearTable.Shifted;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    protected override void DecodeSuper(byte* super, float* scales, float* offsets)
    {
        var d = Halves(super, 0);
        var middle = Vector128.Create((byte)32);
        var zero = Vector512.Create(-128f);
        for (var g = 0; g < 4; g++)
        {
            SixBits(super + HalfBytes, 4, g, out var first, out var second);
            var low = Widen.Signed((first - middle).AsSByte()) * d;
            var high = Widen.Signed((second - middle).AsSByte()) * d;
            low.Store(scales + 16 * g);
            (low * zero).Store(offsets + 16 * g);
            high.Store(scales + 16 * (g + 4));
            (high * zero).Store(offsets + 16 * (g + 4));
        }
    }

    protected override void PackSuper(byte* block, byte* super, int row)
    {
        PutHalf(super, 0, row, block);
        for (var g = 0; g < 4; g++) PackSixBits(super + HalfBytes, 4, row, g, Scale(block, g), Scale(block, g + 4));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    protected override void Codes(byte* block, byte* codes)
    {
        for (var g = 0; g < 8; g++) Nibbles(block + 8 + 16 * g, 16, codes + 32 * g);
    }

    private static int Scale(byte* block, int k)
    {
        int high = Unsafe.ReadUnaligned<ushort>(block + 2);
        return ((block[4 + (k >> 1)] >> (4 * (k & 1))) & 15) | ((high >> (2 * k)) & 3) << 4;
    }
}
