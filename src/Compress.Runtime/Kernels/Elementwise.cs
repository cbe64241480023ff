using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Compress.Formats.Architectures;

namespace Compress.Runtime.Kernels;

/// <summary>Everything of a block that is not a product with a weight: norms, activations, rotation, sums.</summary>
internal static unsafe class Elementwise
{
    /// <summary><c>to = x / rms(x) · weight</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void RmsNorm(float* x, float* weight, float epsilon, int length, float* to)
    {
        var scale = (float)(1 / Math.Sqrt(Squares(x, length) / length + epsilon));
        var by = Vector512.Create(scale);
        var i = 0;
        for (; i <= length - 16; i += 16) (Vector512.Load(x + i) * by * Vector512.Load(weight + i)).Store(to + i);
        for (; i < length; i++) to[i] = x[i] * scale * weight[i];
    }

    /// <summary>Σ x², eight sums in double.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static double Squares(float* x, int length)
    {
        Vector512<double> low = default, high = default;
        var i = 0;
        for (; i <= length - 16; i += 16)
        {
            var (a, b) = Vector512.Widen(Vector512.Load(x + i));
            low = Vector512.FusedMultiplyAdd(a, a, low);
            high = Vector512.FusedMultiplyAdd(b, b, high);
        }
        var sum = Vector512.Sum(low + high);
        for (; i < length; i++) sum += (double)x[i] * x[i];
        return sum;
    }

    /// <summary><c>to = (x − mean) / std · weight + bias</c>; <paramref name="bias"/> may be null.</summary>
    public static void LayerNorm(float* x, float* weight, float* bias, float epsilon, int length, float* to)
    {
        double sum = 0, squares = 0;
        for (var i = 0; i < length; i++) sum += x[i];
        var mean = sum / length;
        for (var i = 0; i < length; i++) squares += (x[i] - mean) * (x[i] - mean);
        var scale = 1 / Math.Sqrt(squares / length + epsilon);
        for (var i = 0; i < length; i++) to[i] = (float)((x[i] - mean) * scale) * weight[i] + (bias == null ? 0 : bias[i]);
    }

    /// <summary><c>x += y</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add(float* x, float* y, int length)
    {
        var i = 0;
        for (; i <= length - 16; i += 16) (Vector512.Load(x + i) + Vector512.Load(y + i)).Store(x + i);
        for (; i < length; i++) x[i] += y[i];
    }

    /// <summary><c>up = act(gate) · up</c>, or <c>up = act(up)</c> where <paramref name="gate"/> is null.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Activate(Activation kind, float* gate, float* up, int length)
    {
        var i = 0;
        for (; i <= length - 16; i += 16)
        {
            var value = Apply(kind, Vector512.Load((gate == null ? up : gate) + i));
            (gate == null ? value : value * Vector512.Load(up + i)).Store(up + i);
        }
        for (; i < length; i++)
        {
            var value = Apply(kind, Vector512.Create((gate == null ? up : gate)[i]))[0];
            up[i] = gate == null ? value : value * up[i];
        }
    }

    /// <summary>Rotates pairs of one head in place.</summary>
    /// <param name="head">The head's values.</param>
    /// <param name="cos">Cosine of each pair's angle at this position.</param>
    /// <param name="sin">Sine of each pair's angle.</param>
    /// <param name="pairs">Half the rotated dimensions.</param>
    /// <param name="interleaved">Pairs are (2i, 2i+1) as in GGUF's llama layout; otherwise (i, i + pairs).</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rotate(float* head, float* cos, float* sin, int pairs, bool interleaved)
    {
        for (var i = 0; i < pairs; i++)
        {
            float* a = interleaved ? head + 2 * i : head + i, b = interleaved ? a + 1 : a + pairs;
            var (x, y) = (*a, *b);
            *a = x * cos[i] - y * sin[i];
            *b = y * cos[i] + x * sin[i];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Apply(Activation kind, Vector512<float> x) => kind switch
    {
        Activation.Silu => x / (Vector512<float>.One + Vector512.Exp(-x)),
        Activation.Relu => Vector512.Max(x, Vector512<float>.Zero),
        Activation.GeluTanh => GeluTanh(x),
        _ => Gelu(x),
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> GeluTanh(Vector512<float> x)
    {
        // 0.5 x (1 + tanh u) = x · sigmoid(2u), u = √(2/π) (x + 0.044715 x³)
        var twice = x * (Vector512.Create(1.5957691216057308f) * (Vector512<float>.One + Vector512.Create(0.044715f) * x * x));
        return x / (Vector512<float>.One + Vector512.Exp(-twice));
    }

    /// <summary>The error function by Abramowitz and Stegun 7.1.26 is off by 1.5e-7 at most: below f32's own rounding of GELU.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Gelu(Vector512<float> x)
    {
        var z = Vector512.Abs(x) * 0.70710678f;
        var t = Vector512<float>.One / (Vector512<float>.One + z * 0.3275911f);
        var polynomial = ((((Vector512.Create(1.061405429f) * t - Vector512.Create(1.453152027f)) * t + Vector512.Create(1.421413741f)) * t
            - Vector512.Create(0.284496736f)) * t + Vector512.Create(0.254829592f)) * t;
        var erf = Vector512<float>.One - polynomial * Vector512.Exp(-z * z);
        return x * 0.5f * (Vector512<float>.One + Vector512.CopySign(erf, x));
    }
}
