namespace Compress.Formats.Checkpoints;

/// <summary>
/// An 8-bit float: one sign bit, then exponent and mantissa. Four kinds are in use: E5M2 follows IEEE 754; E4M3 has no infinities and
/// one NaN (all ones); the FNUZ kinds have one NaN at the code of −0 and no infinities (Micikevicius et al., "FP8 Formats for Deep
/// Learning", arXiv 2209.05433, table 1; ONNX "Float stored in 8 bits").
/// </summary>
internal sealed class SmallFloat
{
    readonly int mantissaBits;
    readonly int bias;
    readonly byte largest;
    readonly byte overflow;
    readonly byte notANumber;
    readonly bool unsignedZero;
    readonly float[] values = new float[256];

    SmallFloat(int mantissaBits, int bias, byte largest, byte overflow, byte notANumber, bool unsignedZero)
    {
        this.mantissaBits = mantissaBits;
        this.bias = bias;
        this.largest = largest;
        this.overflow = overflow;
        this.notANumber = notANumber;
        this.unsignedZero = unsignedZero;
        for (var code = 0; code < 256; code++) values[code] = Value((byte)code);
    }

    /// <summary>E4M3FN: largest 448; what is larger becomes ±448.</summary>
    public static SmallFloat E4M3 { get; } = new(3, 7, 0x7E, 0x7E, 0x7F, false);

    /// <summary>E5M2: largest 57344; what is larger becomes infinite.</summary>
    public static SmallFloat E5M2 { get; } = new(2, 15, 0x7B, 0x7C, 0x7F, false);

    /// <summary>E4M3FNUZ: largest 240; what is larger becomes ±240.</summary>
    public static SmallFloat E4M3Fnuz { get; } = new(3, 8, 0x7F, 0x7F, 0x80, true);

    /// <summary>E5M2FNUZ: largest 57344; what is larger becomes ±57344.</summary>
    public static SmallFloat E5M2Fnuz { get; } = new(2, 16, 0x7F, 0x7F, 0x80, true);

    /// <summary>The value of each code.</summary>
    public ReadOnlySpan<float> Values => values;

    /// <summary>The nearest code; halfway cases go to the even one.</summary>
    public byte Encode(float x)
    {
        var bits = BitConverter.SingleToUInt32Bits(x);
        var sign = (byte)(bits >> 24 & 0x80);
        var magnitude = bits & 0x7FFF_FFFF;
        if (float.IsNaN(x)) return unsignedZero ? notANumber : (byte)(sign | notANumber);
        var code = Round(magnitude);
        if (code > largest) code = overflow;
        return unsignedZero && code == 0 ? (byte)0 : (byte)(sign | code);
    }

    uint Round(uint magnitude)
    {
        var smallestNormal = (uint)(127 - bias + 1) << 23;
        if (magnitude < smallestNormal)
        {
            // Scaled so that the smallest subnormal is 1; carrying over gives the smallest normal code.
            var units = BitConverter.UInt32BitsToSingle(magnitude) * MathF.ScaleB(1, bias - 1 + mantissaBits);
            return (uint)MathF.Round(units);
        }
        var shift = 23 - mantissaBits;
        var rounded = (ulong)magnitude + (1u << (shift - 1)) - 1 + (magnitude >> shift & 1);
        return (uint)(rounded >> shift) - ((uint)(127 - bias) << mantissaBits);
    }

    float Value(byte code)
    {
        var magnitude = code & 0x7F;
        if (unsignedZero ? code == notANumber : magnitude > overflow) return float.NaN;
        if (magnitude > largest) return code < 0x80 ? float.PositiveInfinity : float.NegativeInfinity;
        var exponent = magnitude >> mantissaBits;
        var fraction = magnitude & ((1 << mantissaBits) - 1);
        var value = exponent == 0
            ? MathF.ScaleB(fraction, 1 - bias - mantissaBits)
            : MathF.ScaleB((1 << mantissaBits) + fraction, exponent - bias - mantissaBits);
        return code < 0x80 ? value : -value;
    }
}
