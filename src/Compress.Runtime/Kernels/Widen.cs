using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Compress.Runtime.Kernels;

/// <summary>Small integers and halves to floats, sixteen at a time.</summary>
internal static unsafe class Widen
{
    /// <summary>2^112: moves the exponent of a half, placed in a float's bits, to where it belongs; exact for subnormals too.</summary>
    private const float HalfExponent = 5.192296858534828e33f;

    /// <summary>Sixteen unsigned bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Unsigned(Vector128<byte> bytes)
    {
        if (Avx512F.IsSupported) return Avx512F.ConvertToVector512Single(Avx512F.ConvertToVector512Int32(bytes));
        var (low, high) = Vector128.Widen(bytes);
        return Vector512.ConvertToSingle(Vector512.Create(
            Vector256.Create(Vector128.WidenLower(low), Vector128.WidenUpper(low)),
            Vector256.Create(Vector128.WidenLower(high), Vector128.WidenUpper(high))).AsInt32());
    }

    /// <summary>Sixteen signed bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Signed(Vector128<sbyte> bytes)
    {
        if (Avx512F.IsSupported) return Avx512F.ConvertToVector512Single(Avx512F.ConvertToVector512Int32(bytes));
        var (low, high) = Vector128.Widen(bytes);
        return Vector512.ConvertToSingle(Vector512.Create(
            Vector256.Create(Vector128.WidenLower(low), Vector128.WidenUpper(low)),
            Vector256.Create(Vector128.WidenLower(high), Vector128.WidenUpper(high))));
    }

    /// <summary>Sixteen bfloat16.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> BFloat16(Vector256<ushort> values) => (Bits(values) << 16).AsSingle();

    /// <summary>Sixteen IEEE halves, finite: infinities and NaN, which no sound weight holds, become large finite values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Half(Vector256<ushort> values)
    {
        var bits = Bits(values);
        var magnitude = ((bits & Vector512.Create(0x7fff)) << 13).AsSingle() * HalfExponent;
        return (magnitude.AsInt32() | ((bits & Vector512.Create(0x8000)) << 16)).AsSingle();
    }

    /// <summary>One finite IEEE half.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Half(byte* at)
    {
        int bits = Unsafe.ReadUnaligned<ushort>(at);
        var magnitude = BitConverter.Int32BitsToSingle((bits & 0x7fff) << 13) * HalfExponent;
        return BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(magnitude) | (bits & 0x8000) << 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Bits(Vector256<ushort> values) => Avx512F.IsSupported
        ? Avx512F.ConvertToVector512Int32(values)
        : Vector512.Create(Vector256.WidenLower(values), Vector256.WidenUpper(values)).AsInt32();
}
