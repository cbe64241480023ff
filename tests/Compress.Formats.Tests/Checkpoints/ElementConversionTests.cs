using System.Runtime.InteropServices;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Tests.Checkpoints;

public class ElementConversionTests
{
    /// <summary>What the bits of a float with these fields mean, in double. Null for NaN.</summary>
    static double? Naive(uint code, int exponentBits, int mantissaBits, int bias, bool infinities, bool allOnesIsNaN)
    {
        var width = 1 + exponentBits + mantissaBits;
        var sign = (code >> (width - 1) & 1) == 1 ? -1.0 : 1.0;
        var exponent = (int)(code >> mantissaBits & ((1u << exponentBits) - 1));
        var mantissa = code & ((1u << mantissaBits) - 1);
        var full = exponent == (1 << exponentBits) - 1;
        if (infinities && full) return mantissa == 0 ? sign * double.PositiveInfinity : null;
        if (allOnesIsNaN && full && mantissa == (1u << mantissaBits) - 1) return null;
        var fraction = mantissa / Math.Pow(2, mantissaBits);
        return sign * (exponent == 0 ? fraction * Math.Pow(2, 1 - bias) : (1 + fraction) * Math.Pow(2, exponent - bias));
    }

    static double? Naive(ElementType type, uint code) => type switch
    {
        ElementType.F16 => Naive(code, 5, 10, 15, true, false),
        ElementType.BF16 => Naive(code, 8, 7, 127, true, false),
        ElementType.F8E5M2 => Naive(code, 5, 2, 15, true, false),
        ElementType.F8E4M3 => Naive(code, 4, 3, 7, false, true),
        ElementType.F8E4M3Fnuz => code == 0x80 ? null : Naive(code, 4, 3, 8, false, false),
        ElementType.F8E5M2Fnuz => code == 0x80 ? null : Naive(code, 5, 2, 16, false, false),
        ElementType.F8E8M0 => code == 255 ? null : Math.Pow(2, (int)code - 127),
        _ => throw new ArgumentOutOfRangeException(nameof(type)),
    };

    public static TheoryData<ElementType> Readable => new(ElementType.F16, ElementType.BF16, ElementType.F8E4M3, ElementType.F8E5M2,
        ElementType.F8E4M3Fnuz, ElementType.F8E5M2Fnuz, ElementType.F8E8M0);

    public static TheoryData<ElementType> Writable => new(ElementType.F16, ElementType.BF16, ElementType.F8E4M3, ElementType.F8E5M2,
        ElementType.F8E4M3Fnuz, ElementType.F8E5M2Fnuz);

    [Theory]
    [MemberData(nameof(Readable))]
    public void Every_code_reads_as_its_bits_say(ElementType type)
    {
        var values = ReadAll(type);
        for (var code = 0u; code < values.Length; code++)
        {
            if (Naive(type, code) is { } expected)
            {
                Assert.True(expected == values[code], $"{type} {code:x}");
                Assert.Equal(double.IsNegative(expected), float.IsNegative(values[code]));
            }
            else
            {
                Assert.True(float.IsNaN(values[code]), $"{type} {code:x}");
            }
        }
    }

    /// <summary>Every value, every halfway point and both its f32 neighbours must go to the nearest value, halfway to the even
    /// code.</summary>
    [Theory]
    [MemberData(nameof(Writable))]
    public void Narrowing_rounds_to_nearest_even(ElementType type)
    {
        var half = type.Bits() == 8 ? 0x80 : 0x8000;
        // Codes grow with magnitude, so the finite positive ones are a sorted list.
        var finite = Enumerable.Range(0, half).Select(c => Naive(type, (uint)c)).TakeWhile(v =>
            v is { } d && double.IsFinite(d)).Select(v => v!.Value).ToArray();
        var inputs = new List<float>();
        var expected = new List<int>();
        void Expect(double value, int code)
        {
            if ((double)(float)value != value) return;
            inputs.AddRange([(float)value, -(float)value]);
            expected.AddRange([code, code | half]);
        }
        for (var code = 0; code < finite.Length - 1; code++)
        {
            var middle = (finite[code] + finite[code + 1]) / 2;
            Expect(finite[code], code);
            if ((float)middle != middle) continue;
            Expect(middle, code % 2 == 0 ? code : code + 1);
            Expect(MathF.BitDecrement((float)middle), code);
            Expect(MathF.BitIncrement((float)middle), code + 1);
        }
        Expect(finite[^1], finite.Length - 1);
        Assert.True(inputs.Count > 6 * finite.Length, "halfway points were not all covered");
        AssertWritten(type, inputs, expected, negativeZero: half);
    }

    [Theory]
    [InlineData(ElementType.F16, 65520f, 0x7C00)]
    [InlineData(ElementType.F16, 65519.996f, 0x7BFF)]
    [InlineData(ElementType.F16, 1e30f, 0x7C00)]
    [InlineData(ElementType.F16, float.PositiveInfinity, 0x7C00)]
    [InlineData(ElementType.F16, 1e-45f, 0)]
    [InlineData(ElementType.BF16, float.MaxValue, 0x7F80)]
    [InlineData(ElementType.BF16, float.PositiveInfinity, 0x7F80)]
    [InlineData(ElementType.BF16, 1e-45f, 0)]
    [InlineData(ElementType.F8E4M3, 1e9f, 0x7E)]
    [InlineData(ElementType.F8E4M3, 465f, 0x7E)]
    [InlineData(ElementType.F8E4M3, float.PositiveInfinity, 0x7E)]
    [InlineData(ElementType.F8E5M2, 61439f, 0x7B)]
    [InlineData(ElementType.F8E5M2, 61440f, 0x7C)]
    [InlineData(ElementType.F8E5M2, float.PositiveInfinity, 0x7C)]
    [InlineData(ElementType.F8E4M3Fnuz, 1e9f, 0x7F)]
    [InlineData(ElementType.F8E5M2Fnuz, 1e9f, 0x7F)]
    public void What_is_too_large_saturates_or_becomes_infinite(ElementType type, float value, int code)
    {
        var half = type.Bits() == 8 ? 0x80 : 0x8000;
        AssertWritten(type, [.. Enumerable.Repeat(value, 40), -value], [.. Enumerable.Repeat(code, 40), code | half], half);
    }

    [Theory]
    [MemberData(nameof(Writable))]
    public void NaN_stays_NaN(ElementType type)
    {
        var nan = Enumerable.Range(0, 64).Select(i =>
            BitConverter.UInt32BitsToSingle((i % 2 == 0 ? 0x7F80_0000 : 0xFF80_0000) | 1u << (i % 23)));
        var input = nan.ToArray();
        var bytes = new byte[input.Length * type.Bits() / 8];
        ElementConversion.FromSingle(type, input, bytes);
        var back = new float[input.Length];
        ElementConversion.ToSingle(type, bytes, back);
        Assert.All(back, v => Assert.True(float.IsNaN(v)));
    }

    [Fact]
    public void Halves_agree_with_the_runtime_on_random_bits()
    {
        var random = new Random(1);
        var input = Enumerable.Range(0, 300_000).Select(_ => BitConverter.UInt32BitsToSingle((uint)random.NextInt64(1L << 32))).ToArray();
        var bytes = new byte[2 * input.Length];
        ElementConversion.FromSingle(ElementType.F16, input, bytes);
        var actual = MemoryMarshal.Cast<byte, Half>(bytes);
        for (var i = 0; i < input.Length; i++)
        {
            var expected = (Half)input[i];
            if (Half.IsNaN(expected)) Assert.True(Half.IsNaN(actual[i]));
            else Assert.Equal(BitConverter.HalfToInt16Bits(expected), BitConverter.HalfToInt16Bits(actual[i]));
        }
    }

    [Fact]
    public void Doubles_and_singles_pass_and_other_types_and_lengths_are_refused()
    {
        var one = new float[1];
        ElementConversion.ToSingle(ElementType.F64, BitConverter.GetBytes(0.1), one);
        Assert.Equal(0.1f, one[0]);
        ElementConversion.ToSingle(ElementType.F32, BitConverter.GetBytes(0.2f), one);
        Assert.Equal(0.2f, one[0]);
        Assert.Equal(0.100097656f, ElementConversion.Round(ElementType.BF16, 0.1f));
        Assert.Throws<ArgumentException>(() => ElementConversion.ToSingle(ElementType.F16, new byte[3], one));
        Assert.Throws<ArgumentException>(() => ElementConversion.ToSingle(ElementType.I8, new byte[1], one));
        Assert.Throws<ArgumentException>(() => ElementConversion.FromSingle(ElementType.I8, one, new byte[1]));
        Assert.Throws<ArgumentException>(() => ElementConversion.FromSingle(ElementType.F8E8M0, one, new byte[1]));
    }

    static float[] ReadAll(ElementType type)
    {
        var count = type.Bits() == 8 ? 256 : 65536;
        var bytes = type.Bits() == 8
            ? Enumerable.Range(0, count).Select(c => (byte)c).ToArray()
            : MemoryMarshal.AsBytes<ushort>(Enumerable.Range(0, count).Select(c => (ushort)c).ToArray()).ToArray();
        var values = new float[count];
        // An odd split also passes through the scalar ends.
        var split = count / 2 - 3;
        ElementConversion.ToSingle(type, bytes.AsSpan(0, split * (type.Bits() / 8)), values.AsSpan(0, split));
        ElementConversion.ToSingle(type, bytes.AsSpan(split * (type.Bits() / 8)), values.AsSpan(split));
        return values;
    }

    static void AssertWritten(ElementType type, List<float> inputs, List<int> expected, int negativeZero)
    {
        var size = type.Bits() / 8;
        var bytes = new byte[inputs.Count * size];
        var input = inputs.ToArray();
        ElementConversion.FromSingle(type, input, bytes);
        // Some again, alone, which takes the scalar path.
        var single = new byte[size];
        for (var i = 0; i < input.Length; i++)
        {
            var actual = size == 1 ? bytes[i] : BitConverter.ToUInt16(bytes, 2 * i);
            var wanted = type is ElementType.F8E4M3Fnuz or ElementType.F8E5M2Fnuz && expected[i] == negativeZero ? 0 : expected[i];
            if (actual != wanted) Assert.Fail($"{type} {input[i]:R}: {actual:x}, expected {wanted:x}");
            if (i % 7 != 0) continue;
            ElementConversion.FromSingle(type, input.AsSpan(i, 1), single);
            Assert.Equal(wanted, size == 1 ? single[0] : BitConverter.ToUInt16(single));
        }
    }
}
