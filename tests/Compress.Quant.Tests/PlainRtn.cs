using Compress.Quant.Grids;

namespace Compress.Quant.Tests;

/// <summary>Rounding to nearest, one weight after the other, by the formulas of the published programs.</summary>
internal static class PlainRtn
{
    /// <summary>Signed distance codes (code − zero) and decoded values of one group.</summary>
    public static (float Scale, int Zero, int[] Codes) Group(float[] w, AffineOptions options)
    {
        var (min, max) = (w.Min(), w.Max());
        if (options.Flavour != AffineFlavour.Awq) (min, max) = (Math.Min(min, 0), Math.Max(max, 0));
        var best = Fit(min, max, options);
        if (options.Mse)
        {
            var least = double.PositiveInfinity;
            for (var i = 0; i < 80; i++)
            {
                var p = (float)(1 - i / 100.0);
                var (scale, zero) = Fit(p * min, p * max, options);
                var error = w.Sum(v => Math.Pow(Math.Abs(v - (Code(v, scale, zero, options.Bits) - zero) * scale), 2.4));
                if (error >= least) continue;
                least = error;
                best = (scale, zero);
            }
        }
        return (best.Scale, best.Zero, [.. w.Select(v => Code(v, best.Scale, best.Zero, options.Bits))]);
    }

    private static int Code(float w, float scale, int zero, int bits) =>
        (int)Math.Clamp(Math.Round((double)(w / scale)) + zero, 0, (1 << bits) - 1);

    private static (float Scale, int Zero) Fit(float min, float max, AffineOptions o)
    {
        float maxq = (1 << o.Bits) - 1, m = Math.Max(Math.Abs(min), Math.Abs(max));
        var middle = 1 << (o.Bits - 1);
        switch (o.Flavour, o.Symmetric)
        {
            case (AffineFlavour.Absmax, _):
                return (Round(m / (middle - 1), o.ScaleType), middle);
            case (AffineFlavour.CompressedTensors, true):
                return (Round(m / (maxq / 2), o.ScaleType), middle);
            case (AffineFlavour.Gptq, true):
                return (Round((m - -m) / maxq, o.ScaleType), middle);
            case (AffineFlavour.Awq, _):
                var awq = Round(Math.Max(max - min, 1e-5f) / maxq, o.ScaleType);
                return (awq, (int)Math.Clamp(-Math.Round((double)(min / awq)), 0, maxq));
            default:
                var scale = Round((max - min) / maxq, o.ScaleType);
                return (scale, (int)Math.Clamp(Math.Round((double)(-min / scale)), 0, maxq));
        }
    }

    /// <summary>The nearest half, bfloat16 or single, found through .NET's own conversion or by comparing neighbours.</summary>
    private static float Round(float value, ScaleType type)
    {
        if (type == ScaleType.F32) return value;
        if (type == ScaleType.F16) return (float)(Half)value;
        var below = BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(value) & 0xFFFF0000);
        var above = BitConverter.UInt32BitsToSingle((BitConverter.SingleToUInt32Bits(value) & 0xFFFF0000) + 0x10000);
        var (down, up) = ((double)value - below, (double)above - value);
        if (down != up) return down < up ? below : above;
        return (BitConverter.SingleToUInt32Bits(below) & 0x10000) == 0 ? below : above;
    }
}
