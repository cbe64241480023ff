namespace Compress.Formats.Gguf;

/// <summary>
/// The weighted searches for scale and minimum behind the k-quants: try a range of scales, round, refit scale (and minimum)
/// by weighted least squares, keep the best.
/// </summary>
/// <remarks>
/// Source: ggml <c>ggml-quants.c</c>, <c>make_qx_quants</c>, <c>make_q3_quants</c>, <c>make_qkx2_quants</c>. With no importance given,
/// the results equal llama.cpp's bit for bit; the order of f32 operations is part of that.
/// </remarks>
internal static class KQuantSearch
{
    /// <summary>Below this a group counts as zero.</summary>
    private const float GroupEpsilon = 1e-15f;

    /// <summary>Fits <c>x ≈ scale · code − minimum</c>, codes in 0 … <paramref name="top"/>, minimum at or above 0.</summary>
    /// <param name="x">Group of weights.</param>
    /// <param name="weights">Importance of each.</param>
    /// <param name="top">Largest code.</param>
    /// <param name="codes">Receives the codes.</param>
    /// <param name="search">First offset, step and number of steps of the scale search.</param>
    /// <param name="absolute">Judge by absolute rather than squared error.</param>
    public static (float Scale, float Minimum) Affine(
        ReadOnlySpan<float> x, ReadOnlySpan<float> weights, int top, Span<byte> codes, (float First, float Step, int Steps) search, bool absolute)
    {
        float min = x[0], max = x[0], sumW = weights[0], sumX = sumW * x[0];
        for (var i = 1; i < x.Length; i++)
        {
            if (x[i] < min) min = x[i];
            if (x[i] > max) max = x[i];
            sumW += weights[i];
            sumX += weights[i] * x[i];
        }
        if (min > 0) min = 0;
        codes.Clear();
        if (max == min) return (0, -min);
        var inverse = top / (max - min);
        var scale = 1 / inverse;
        var best = Round(x, weights, inverse, min, scale, min, top, codes, absolute);
        Span<byte> trial = stackalloc byte[x.Length];
        for (var step = 0; step <= search.Steps; step++)
        {
            inverse = (search.First + search.Step * step + top) / (max - min);
            float sumL = 0, sumL2 = 0, sumXl = 0;
            for (var i = 0; i < x.Length; i++)
            {
                var code = Math.Clamp(NearestInt(inverse * (x[i] - min)), 0, top);
                trial[i] = (byte)code;
                sumL += weights[i] * code;
                sumL2 += weights[i] * code * code;
                sumXl += weights[i] * code * x[i];
            }
            var determinant = sumW * sumL2 - sumL * sumL;
            if (!(determinant > 0)) continue;
            var thisScale = (sumW * sumXl - sumX * sumL) / determinant;
            var thisMin = (sumL2 * sumX - sumL * sumXl) / determinant;
            if (thisMin > 0)
            {
                thisMin = 0;
                thisScale = sumXl / sumL2;
            }
            var error = Error(x, weights, thisScale, thisMin, trial, absolute);
            if (!(error < best)) continue;
            trial.CopyTo(codes);
            (best, scale, min) = (error, thisScale, thisMin);
        }
        return (scale, -min);
    }

    /// <summary>Fits <c>x ≈ scale · (code − middle)</c>, codes in 0 … 2·middle − 1.</summary>
    /// <param name="x">Group of weights.</param>
    /// <param name="importance">Importance of each; empty for x².</param>
    /// <param name="middle">Half the number of codes.</param>
    /// <param name="codes">Receives the codes.</param>
    public static float Symmetric(ReadOnlySpan<float> x, ReadOnlySpan<float> importance, int middle, Span<byte> codes)
    {
        var max = SignedMaximum(x);
        codes.Clear();
        if (Math.Abs(max) < GroupEpsilon) return 0;
        var inverse = -middle / max;
        float sumLx = 0, sumL2 = 0;
        for (var i = 0; i < x.Length; i++)
        {
            var code = Math.Clamp(NearestInt(inverse * x[i]), -middle, middle - 1);
            codes[i] = (byte)(code + middle);
            var w = importance.IsEmpty ? x[i] * x[i] : importance[i];
            sumLx += w * x[i] * code;
            sumL2 += w * code * code;
        }
        var scale = sumL2 != 0 ? sumLx / sumL2 : 0;
        var best = scale * sumLx;
        for (var step = -9; step <= 9; step++)
        {
            if (step == 0) continue;
            inverse = -(middle + 0.1f * step) / max;
            sumLx = sumL2 = 0;
            for (var i = 0; i < x.Length; i++)
            {
                var code = Math.Clamp(NearestInt(inverse * x[i]), -middle, middle - 1);
                var w = importance.IsEmpty ? x[i] * x[i] : importance[i];
                sumLx += w * x[i] * code;
                sumL2 += w * code * code;
            }
            if (!(sumL2 > 0 && sumLx * sumLx > best * sumL2)) continue;
            for (var i = 0; i < x.Length; i++)
                codes[i] = (byte)(middle + Math.Clamp(NearestInt(inverse * x[i]), -middle, middle - 1));
            scale = sumLx / sumL2;
            best = scale * sumLx;
        }
        return scale;
    }

    /// <summary>As <see cref="Symmetric"/> for 3 bits, improving one code at a time by coordinate descent.</summary>
    public static float Descent(ReadOnlySpan<float> x, int middle, Span<byte> codes)
    {
        var max = SignedMaximum(x);
        codes.Clear();
        if (Math.Abs(max) < GroupEpsilon) return 0;
        var inverse = -middle / max;
        float sumLx = 0, sumL2 = 0;
        Span<int> level = stackalloc int[x.Length];
        for (var i = 0; i < x.Length; i++)
        {
            level[i] = Math.Clamp(NearestInt(inverse * x[i]), -middle, middle - 1);
            var w = x[i] * x[i];
            sumLx += w * x[i] * level[i];
            sumL2 += w * level[i] * level[i];
        }
        for (var pass = 0; pass < 5; pass++)
        {
            var changed = false;
            for (var i = 0; i < x.Length; i++)
            {
                var w = x[i] * x[i];
                var lx = sumLx - w * x[i] * level[i];
                if (!(lx > 0)) continue;
                var l2 = sumL2 - w * level[i] * level[i];
                var code = Math.Clamp(NearestInt(x[i] * l2 / lx), -middle, middle - 1);
                if (code == level[i]) continue;
                lx += w * x[i] * code;
                l2 += w * code * code;
                if (!(l2 > 0 && lx * lx * sumL2 > sumLx * sumLx * l2)) continue;
                level[i] = code;
                (sumLx, sumL2, changed) = (lx, l2, true);
            }
            if (!changed) break;
        }
        for (var i = 0; i < x.Length; i++) codes[i] = (byte)(level[i] + middle);
        return sumL2 > 0 ? sumLx / sumL2 : 0;
    }

    /// <summary>Rounds to the nearest integer, ties to even.</summary>
    public static int NearestInt(float value) => (int)MathF.Round(value, MidpointRounding.ToEven);

    private static float Round(
        ReadOnlySpan<float> x, ReadOnlySpan<float> weights, float inverse, float from, float scale, float min, int top, Span<byte> codes, bool absolute)
    {
        for (var i = 0; i < x.Length; i++) codes[i] = (byte)Math.Clamp(NearestInt(inverse * (x[i] - from)), 0, top);
        return Error(x, weights, scale, min, codes, absolute);
    }

    private static float Error(ReadOnlySpan<float> x, ReadOnlySpan<float> weights, float scale, float min, ReadOnlySpan<byte> codes, bool absolute)
    {
        float error = 0;
        for (var i = 0; i < x.Length; i++)
        {
            var difference = scale * codes[i] + min - x[i];
            error += weights[i] * (absolute ? Math.Abs(difference) : difference * difference);
        }
        return error;
    }

    private static float SignedMaximum(ReadOnlySpan<float> x)
    {
        float max = 0, size = 0;
        foreach (var value in x)
        {
            if (Math.Abs(value) > size) (size, max) = (Math.Abs(value), value);
        }
        return max;
    }
}
