using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Compress.Formats.Gguf;

namespace Compress.Runtime.Kernels;

/// <summary>GGUF Q2_K: blocks of 256, sixteen 4-bit scales and minima, 2-bit codes.</summary>
internal readonly unsafe struct Q2KCodec : IWeightCodec
{
    public static nint RowBytes(int columns) => columns / 256 * (nint)84;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode(byte* row, nint group, out Vector512<float> low, out Vector512<float> high)
    {
        var block = row + 84 * (group >> 3);
        var k = (int)(group & 7);
        float d = Widen.Half(block + 80), minimum = Widen.Half(block + 82);
        int first = block[2 * k], second = block[2 * k + 1];
        var codes = block + 16 + 32 * (k >> 2);
        var shift = 2 * (k & 3);
        var three = Vector128.Create((byte)3);
        low = Widen.Unsigned((Vector128.Load(codes) >>> shift) & three) * Vector512.Create(d * (first & 15)) - Vector512.Create(minimum * (first >> 4));
        high = Widen.Unsigned((Vector128.Load(codes + 16) >>> shift) & three) * Vector512.Create(d * (second & 15)) - Vector512.Create(minimum * (second >> 4));
    }
}

/// <summary>GGUF Q3_K: blocks of 256, sixteen 6-bit scales, 3-bit codes whose top bit lies in a plane of its own.</summary>
internal readonly unsafe struct Q3KCodec : IWeightCodec
{
    public static nint RowBytes(int columns) => columns / 256 * (nint)110;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode(byte* row, nint group, out Vector512<float> low, out Vector512<float> high)
    {
        var block = row + 110 * (group >> 3);
        var k = (int)(group & 7);
        var d = Widen.Half(block + 108);
        var codes = block + 32 + 32 * (k >> 2);
        low = Widen.Signed(Codes(codes, block, k)) * Vector512.Create(d * Scale(block + 96, 2 * k));
        high = Widen.Signed(Codes(codes + 16, block + 16, k)) * Vector512.Create(d * Scale(block + 96, 2 * k + 1));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<sbyte> Codes(byte* codes, byte* planes, int k)
    {
        var bit = Vector128.Create((byte)(1 << k));
        var high = Vector128.Equals(Vector128.Load(planes) & bit, bit) & Vector128.Create((byte)4);
        var low = (Vector128.Load(codes) >>> (2 * (k & 3))) & Vector128.Create((byte)3);
        return (low | high).AsSByte() - Vector128.Create((sbyte)4);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Scale(byte* packed, int k)
    {
        var low = (packed[k & 7] >> (k >> 3 << 2)) & 15;
        return (low | ((packed[8 + (k & 3)] >> (k >> 2 << 1)) & 3) << 4) - 32;
    }
}

/// <summary>GGUF Q4_K: blocks of 256, eight 6-bit scales and minima, nibbles.</summary>
internal readonly unsafe struct Q4KCodec : IWeightCodec
{
    public static nint RowBytes(int columns) => columns / 256 * (nint)144;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode(byte* row, nint group, out Vector512<float> low, out Vector512<float> high)
    {
        var block = row + 144 * (group >> 3);
        var k = (int)(group & 7);
        var (scale, min) = GgmlDecoder.SixBitScale(new ReadOnlySpan<byte>(block + 4, 12), k);
        Vector512<float> step = Vector512.Create(Widen.Half(block) * scale), offset = Vector512.Create(Widen.Half(block + 2) * min);
        var codes = Vector256.Load(block + 16 + 32 * (k >> 1)) >>> (4 * (k & 1)) & Vector256.Create((byte)15);
        low = Widen.Unsigned(codes.GetLower()) * step - offset;
        high = Widen.Unsigned(codes.GetUpper()) * step - offset;
    }
}

/// <summary>GGUF Q5_K: as Q4_K with a plane of fifth bits.</summary>
internal readonly unsafe struct Q5KCodec : IWeightCodec
{
    public static nint RowBytes(int columns) => columns / 256 * (nint)176;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode(byte* row, nint group, out Vector512<float> low, out Vector512<float> high)
    {
        var block = row + 176 * (group >> 3);
        var k = (int)(group & 7);
        var (scale, min) = GgmlDecoder.SixBitScale(new ReadOnlySpan<byte>(block + 4, 12), k);
        Vector512<float> step = Vector512.Create(Widen.Half(block) * scale), offset = Vector512.Create(Widen.Half(block + 2) * min);
        var bit = Vector256.Create((byte)(1 << k));
        var fifth = Vector256.Equals(Vector256.Load(block + 16) & bit, bit) & Vector256.Create((byte)16);
        var codes = (Vector256.Load(block + 48 + 32 * (k >> 1)) >>> (4 * (k & 1)) & Vector256.Create((byte)15)) | fifth;
        low = Widen.Unsigned(codes.GetLower()) * step - offset;
        high = Widen.Unsigned(codes.GetUpper()) * step - offset;
    }
}

/// <summary>GGUF Q6_K: blocks of 256, sixteen 8-bit scales, nibbles and pairs of bits.</summary>
internal readonly unsafe struct Q6KCodec : IWeightCodec
{
    public static nint RowBytes(int columns) => columns / 256 * (nint)210;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode(byte* row, nint group, out Vector512<float> low, out Vector512<float> high)
    {
        var block = row + 210 * (group >> 3);
        var k = (int)(group & 7);
        int half = k >> 2, quarter = k & 3;
        var nibbles = Vector256.Load(block + 64 * half + 32 * (quarter & 1)) >>> (quarter >> 1 << 2) & Vector256.Create((byte)15);
        var pairs = Vector256.Load(block + 128 + 32 * half) >>> (2 * quarter) & Vector256.Create((byte)3);
        var codes = (nibbles | pairs << 4).AsSByte() - Vector256.Create((sbyte)32);
        var d = Widen.Half(block + 208);
        var scales = (sbyte*)block + 192 + 2 * k;
        low = Widen.Signed(codes.GetLower()) * Vector512.Create(d * scales[0]);
        high = Widen.Signed(codes.GetUpper()) * Vector512.Create(d * scales[1]);
    }
}

/// <summary>GGUF IQ4_XS: blocks of 256, eight 6-bit scales, nibbles that index sixteen fixed levels.</summary>
internal readonly unsafe struct Iq4XsCodec : IWeightCodec
{
    public static nint RowBytes(int columns) => columns / 256 * (nint)136;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode(byte* row, nint group, out Vector512<float> low, out Vector512<float> high)
    {
        var block = row + 136 * (group >> 3);
        var k = (int)(group & 7);
        int high2 = Unsafe.ReadUnaligned<ushort>(block + 2);
        var scale = ((block[4 + (k >> 1)] >> (4 * (k & 1))) & 15) | ((high2 >> (2 * k)) & 3) << 4;
        NonLinear.Decode(Vector128.Load(block + 8 + 16 * k), Vector512.Create(Widen.Half(block) * (scale - 32)), out low, out high);
    }
}
