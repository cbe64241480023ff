using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Compress.Runtime.Kernels;

/// <summary>GGUF Q4_0: half scale, 16 bytes of nibbles; low nibbles are weights 0 … 15.</summary>
internal readonly unsafe struct Q40Codec : IWeightCodec
{
    public static nint RowBytes(int columns) => columns / 32 * (nint)18;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode(byte* row, nint group, out Vector512<float> low, out Vector512<float> high)
    {
        var block = row + 18 * group;
        var scale = Vector512.Create(Widen.Half(block));
        var codes = Vector128.Load(block + 2);
        var middle = Vector128.Create((sbyte)8);
        low = Widen.Signed((codes & Vector128.Create((byte)15)).AsSByte() - middle) * scale;
        high = Widen.Signed((codes >>> 4).AsSByte() - middle) * scale;
    }
}

/// <summary>GGUF Q4_1: half scale and minimum, 16 bytes of nibbles.</summary>
internal readonly unsafe struct Q41Codec : IWeightCodec
{
    public static nint RowBytes(int columns) => columns / 32 * (nint)20;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode(byte* row, nint group, out Vector512<float> low, out Vector512<float> high)
    {
        var block = row + 20 * group;
        Vector512<float> scale = Vector512.Create(Widen.Half(block)), minimum = Vector512.Create(Widen.Half(block + 2));
        var codes = Vector128.Load(block + 4);
        low = Widen.Unsigned(codes & Vector128.Create((byte)15)) * scale + minimum;
        high = Widen.Unsigned(codes >>> 4) * scale + minimum;
    }
}

/// <summary>GGUF Q5_0: half scale, a word of fifth bits, 16 bytes of nibbles.</summary>
internal readonly unsafe struct Q50Codec : IWeightCodec
{
    public static nint RowBytes(int columns) => columns / 32 * (nint)22;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode(byte* row, nint group, out Vector512<float> low, out Vector512<float> high)
    {
        var block = row + 22 * group;
        var scale = Vector512.Create(Widen.Half(block));
        FifthBits.Join(Vector128.Load(block + 6), Unsafe.ReadUnaligned<uint>(block + 2), out var first, out var second);
        var middle = Vector128.Create((sbyte)16);
        low = Widen.Signed(first.AsSByte() - middle) * scale;
        high = Widen.Signed(second.AsSByte() - middle) * scale;
    }
}

/// <summary>GGUF Q5_1: half scale and minimum, a word of fifth bits, 16 bytes of nibbles.</summary>
internal readonly unsafe struct Q51Codec : IWeightCodec
{
    public static nint RowBytes(int columns) => columns / 32 * (nint)24;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode(byte* row, nint group, out Vector512<float> low, out Vector512<float> high)
    {
        var block = row + 24 * group;
        Vector512<float> scale = Vector512.Create(Widen.Half(block)), minimum = Vector512.Create(Widen.Half(block + 2));
        FifthBits.Join(Vector128.Load(block + 8), Unsafe.ReadUnaligned<uint>(block + 4), out var first, out var second);
        low = Widen.Unsigned(first) * scale + minimum;
        high = Widen.Unsigned(second) * scale + minimum;
    }
}

/// <summary>GGUF Q8_0: half scale, 32 signed bytes.</summary>
internal readonly unsafe struct Q80Codec : IWeightCodec
{
    public static nint RowBytes(int columns) => columns / 32 * (nint)34;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode(byte* row, nint group, out Vector512<float> low, out Vector512<float> high)
    {
        var block = row + 34 * group;
        var scale = Vector512.Create(Widen.Half(block));
        low = Widen.Signed(Vector128.Load((sbyte*)block + 2)) * scale;
        high = Widen.Signed(Vector128.Load((sbyte*)block + 18)) * scale;
    }
}

/// <summary>GGUF IQ4_NL: half scale, 16 bytes of nibbles that index sixteen fixed levels.</summary>
internal readonly unsafe struct Iq4NlCodec : IWeightCodec
{
    public static nint RowBytes(int columns) => columns / 32 * (nint)18;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode(byte* row, nint group, out Vector512<float> low, out Vector512<float> high)
    {
        var block = row + 18 * group;
        NonLinear.Decode(Vector128.Load(block + 2), Vector512.Create(Widen.Half(block)), out low, out high);
    }
}

/// <summary>The fifth bits of Q5_0 and Q5_1.</summary>
internal static class FifthBits
{
    /// <summary>Adds bit j of <paramref name="bits"/> to code j as its value 16.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Join(Vector128<byte> nibbles, uint bits, out Vector128<byte> first, out Vector128<byte> second)
    {
        first = (nibbles & Vector128.Create((byte)15)) | Spread((ushort)bits);
        second = (nibbles >>> 4) | Spread((ushort)(bits >> 16));
    }

    /// <summary>Bit j to byte j, as 16 or 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Spread(ushort bits)
    {
        var bytes = Vector128.ShuffleNative(Vector128.Create(bits).AsByte(), Vector128.Create((byte)0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
        var bit = Vector128.Create((byte)1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128);
        return Vector128.Equals(bytes & bit, bit) & Vector128.Create((byte)16);
    }
}

/// <summary>The fixed levels of IQ4_NL and IQ4_XS.</summary>
internal static class NonLinear
{
    private static readonly Vector128<sbyte> Levels = Vector128.Create(Formats.Gguf.GgmlDecoder.NonLinearLevels);

    /// <summary>Looks 32 nibbles up and scales them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode(Vector128<byte> nibbles, Vector512<float> scale, out Vector512<float> low, out Vector512<float> high)
    {
        low = Widen.Signed(Vector128.ShuffleNative(Levels, (nibbles & Vector128.Create((byte)15)).AsSByte())) * scale;
        high = Widen.Signed(Vector128.ShuffleNative(Levels, (nibbles >>> 4).AsSByte())) * scale;
    }
}
