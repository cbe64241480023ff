using System.Numerics;
using System.Runtime.InteropServices;

namespace Compress.Formats.Checkpoints;

/// <summary>
/// Converts stored floats to and from f32. Widening is exact; narrowing rounds to nearest, halfway cases to even. Beyond the largest
/// value F16, BF16 and F8_E5M2 become infinite, F8_E4M3 and the FNUZ types saturate. NaN stays NaN.
/// </summary>
public static class ElementConversion
{
    /// <summary>Whether <see cref="ToSingle"/> reads a type: F64, F32, F16, BF16 and the 8-bit floats.</summary>
    /// <param name="type">The element type.</param>
    public static bool IsFloat(ElementType type) => type is ElementType.F64 or ElementType.F8E8M0 || IsWritableFloat(type);

    /// <summary>Whether <see cref="FromSingle"/> writes a type: F32, F16, BF16, F8_E4M3, F8_E5M2 and their FNUZ kinds.</summary>
    /// <param name="type">The element type.</param>
    public static bool IsWritableFloat(ElementType type) => type is ElementType.F32 or ElementType.F16 or ElementType.BF16
        or ElementType.F8E4M3 or ElementType.F8E5M2 or ElementType.F8E4M3Fnuz or ElementType.F8E5M2Fnuz;

    /// <summary>Reads elements as f32; F64 is rounded.</summary>
    /// <param name="type">How <paramref name="source"/> is encoded; <see cref="IsFloat"/>.</param>
    /// <param name="source">Little-endian elements, at any alignment.</param>
    /// <param name="destination">Takes one value for each element.</param>
    /// <exception cref="ArgumentException">The lengths do not fit, or the type is not a float.</exception>
    public static void ToSingle(ElementType type, ReadOnlySpan<byte> source, Span<float> destination)
    {
        CheckLengths(type, source.Length, destination.Length);
        switch (type)
        {
            case ElementType.F32:
                source.CopyTo(MemoryMarshal.AsBytes(destination));
                break;
            case ElementType.F16:
                HalfToSingle(MemoryMarshal.Cast<byte, ushort>(source), destination);
                break;
            case ElementType.BF16:
                BFloat16ToSingle(MemoryMarshal.Cast<byte, ushort>(source), destination);
                break;
            case ElementType.F64:
                var doubles = MemoryMarshal.Cast<byte, double>(source);
                for (var i = 0; i < destination.Length; i++) destination[i] = (float)doubles[i];
                break;
            case ElementType.F8E8M0:
                for (var i = 0; i < destination.Length; i++)
                    destination[i] = source[i] == 255 ? float.NaN : MathF.ScaleB(1, source[i] - 127);
                break;
            default:
                var values = Small(type).Values;
                for (var i = 0; i < destination.Length; i++) destination[i] = values[source[i]];
                break;
        }
    }

    /// <summary>Writes f32 values as another type.</summary>
    /// <param name="type">How <paramref name="destination"/> is encoded; <see cref="IsWritableFloat"/>.</param>
    /// <param name="source">The values.</param>
    /// <param name="destination">Takes the little-endian elements.</param>
    /// <exception cref="ArgumentException">The lengths do not fit, or the type is not a float that can be written.</exception>
    public static void FromSingle(ElementType type, ReadOnlySpan<float> source, Span<byte> destination)
    {
        CheckLengths(type, destination.Length, source.Length);
        switch (type)
        {
            case ElementType.F32:
                MemoryMarshal.AsBytes(source).CopyTo(destination);
                break;
            case ElementType.F16:
                SingleToHalf(source, MemoryMarshal.Cast<byte, ushort>(destination));
                break;
            case ElementType.BF16:
                SingleToBFloat16(source, MemoryMarshal.Cast<byte, ushort>(destination));
                break;
            default:
                var small = Small(type);
                for (var i = 0; i < source.Length; i++) destination[i] = small.Encode(source[i]);
                break;
        }
    }

    /// <summary>The value that remains of <paramref name="value"/> when it is stored in <paramref name="type"/>.</summary>
    /// <param name="type">The element type; <see cref="IsWritableFloat"/>.</param>
    /// <param name="value">Any value.</param>
    public static float Round(ElementType type, float value)
    {
        Span<byte> stored = stackalloc byte[type.Bits() / 8];
        FromSingle(type, [value], stored);
        ToSingle(type, stored, MemoryMarshal.CreateSpan(ref value, 1));
        return value;
    }

    static SmallFloat Small(ElementType type) => type switch
    {
        ElementType.F8E4M3 => SmallFloat.E4M3,
        ElementType.F8E5M2 => SmallFloat.E5M2,
        ElementType.F8E4M3Fnuz => SmallFloat.E4M3Fnuz,
        ElementType.F8E5M2Fnuz => SmallFloat.E5M2Fnuz,
        _ => throw new ArgumentException($"{type} is not a float that can be converted", nameof(type)),
    };

    static void CheckLengths(ElementType type, int bytes, int elements)
    {
        if (bytes != (long)elements * type.Bits() / 8)
            throw new ArgumentException($"{bytes} bytes are not {elements} elements of {type}");
    }

    static void HalfToSingle(ReadOnlySpan<ushort> source, Span<float> destination)
    {
        var i = 0;
        var width = Vector<ushort>.Count;
        for (; i <= source.Length - width; i += width)
        {
            Vector.Widen(new Vector<ushort>(source[i..]), out var low, out var high);
            HalfToSingle(low).CopyTo(destination[i..]);
            HalfToSingle(high).CopyTo(destination[(i + width / 2)..]);
        }
        for (; i < source.Length; i++) destination[i] = (float)BitConverter.UInt16BitsToHalf(source[i]);
    }

    static Vector<float> HalfToSingle(Vector<uint> half)
    {
        var sign = Vector.ShiftLeft(half & new Vector<uint>(0x8000), 16);
        var magnitude = half & new Vector<uint>(0x7FFF);
        // Normal numbers: the exponent's bias grows from 15 to 127.
        var normal = Vector.ShiftLeft(magnitude, 13) + new Vector<uint>((127 - 15) << 23);
        // Infinities and NaN: the exponent is full again.
        var special = normal + new Vector<uint>((255 - 31 - 127 + 15) << 23);
        // Subnormal numbers: written behind the leading 1 of 2^-14, which is then subtracted, without touching an f32 subnormal.
        var offset = new Vector<uint>((127 - 14) << 23);
        var subnormal = Vector.AsVectorUInt32(
            Vector.AsVectorSingle(Vector.ShiftLeft(magnitude, 13) + offset) - Vector.AsVectorSingle(offset));
        var result = Vector.ConditionalSelect(Vector.LessThan(magnitude, new Vector<uint>(0x400)), subnormal,
            Vector.ConditionalSelect(Vector.LessThan(magnitude, new Vector<uint>(0x7C00)), normal, special));
        return Vector.AsVectorSingle(result | sign);
    }

    static void SingleToHalf(ReadOnlySpan<float> source, Span<ushort> destination)
    {
        var i = 0;
        var width = Vector<float>.Count;
        for (; i <= source.Length - 2 * width; i += 2 * width)
        {
            var low = SingleToHalf(Vector.AsVectorUInt32(new Vector<float>(source[i..])));
            var high = SingleToHalf(Vector.AsVectorUInt32(new Vector<float>(source[(i + width)..])));
            Vector.Narrow(low, high).CopyTo(destination[i..]);
        }
        for (; i < source.Length; i++) destination[i] = BitConverter.HalfToUInt16Bits((Half)source[i]);
    }

    static Vector<uint> SingleToHalf(Vector<uint> single)
    {
        var sign = Vector.ShiftRightLogical(single & new Vector<uint>(0x8000_0000), 16);
        var magnitude = single & new Vector<uint>(0x7FFF_FFFF);
        // Normal numbers: rounding may carry into the exponent, up to infinity.
        var odd = Vector.ShiftRightLogical(magnitude, 13) & Vector<uint>.One;
        var normal = Vector.ShiftRightLogical(magnitude - new Vector<uint>((127 - 15) << 23) + new Vector<uint>(0xFFF) + odd, 13);
        // Subnormal numbers: adding 2^-1 leaves units of 2^-24, rounded by the adder.
        var half = new Vector<uint>((127 - 1) << 23);
        var subnormal = Vector.AsVectorUInt32(Vector.AsVectorSingle(magnitude) + Vector.AsVectorSingle(half)) - half;
        var special = Vector.ConditionalSelect(
            Vector.GreaterThan(magnitude, new Vector<uint>(0x7F80_0000)), new Vector<uint>(0x7E00), new Vector<uint>(0x7C00));
        var result = Vector.ConditionalSelect(Vector.LessThan(magnitude, new Vector<uint>((127 - 14) << 23)), subnormal,
            Vector.ConditionalSelect(Vector.LessThan(magnitude, new Vector<uint>((127 + 16) << 23)), normal, special));
        return result | sign;
    }

    static void BFloat16ToSingle(ReadOnlySpan<ushort> source, Span<float> destination)
    {
        var i = 0;
        var width = Vector<ushort>.Count;
        for (; i <= source.Length - width; i += width)
        {
            Vector.Widen(new Vector<ushort>(source[i..]), out var low, out var high);
            Vector.AsVectorSingle(Vector.ShiftLeft(low, 16)).CopyTo(destination[i..]);
            Vector.AsVectorSingle(Vector.ShiftLeft(high, 16)).CopyTo(destination[(i + width / 2)..]);
        }
        for (; i < source.Length; i++) destination[i] = BitConverter.UInt32BitsToSingle((uint)source[i] << 16);
    }

    static void SingleToBFloat16(ReadOnlySpan<float> source, Span<ushort> destination)
    {
        var i = 0;
        var width = Vector<float>.Count;
        for (; i <= source.Length - 2 * width; i += 2 * width)
        {
            var low = SingleToBFloat16(Vector.AsVectorUInt32(new Vector<float>(source[i..])));
            var high = SingleToBFloat16(Vector.AsVectorUInt32(new Vector<float>(source[(i + width)..])));
            Vector.Narrow(low, high).CopyTo(destination[i..]);
        }
        for (; i < source.Length; i++)
            destination[i] = (ushort)SingleToBFloat16(new Vector<uint>(BitConverter.SingleToUInt32Bits(source[i])))[0];
    }

    static Vector<uint> SingleToBFloat16(Vector<uint> single)
    {
        var odd = Vector.ShiftRightLogical(single, 16) & Vector<uint>.One;
        var rounded = Vector.ShiftRightLogical(single + new Vector<uint>(0x7FFF) + odd, 16);
        // A NaN keeps its upper bits and becomes quiet, so that it cannot turn into an infinity.
        var quiet = Vector.ShiftRightLogical(single, 16) | new Vector<uint>(0x40);
        var isNaN = Vector.GreaterThan(single & new Vector<uint>(0x7FFF_FFFF), new Vector<uint>(0x7F80_0000));
        return Vector.ConditionalSelect(isNaN, quiet, rounded);
    }
}
