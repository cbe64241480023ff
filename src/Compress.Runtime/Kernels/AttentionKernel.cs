using System.Runtime.Intrinsics;

namespace Compress.Runtime.Kernels;

/// <summary>Attention of one query over the positions it may see.</summary>
internal static unsafe class AttentionKernel
{
    /// <summary><c>output = softmax(cap(q·Kᵀ · scale)) V</c>.</summary>
    /// <param name="query">One head's query, <paramref name="size"/> floats.</param>
    /// <param name="keys">This head's keys, one every <paramref name="stride"/> floats.</param>
    /// <param name="values">This head's values, likewise.</param>
    /// <param name="stride">Floats from one position to the next.</param>
    /// <param name="positions">How many positions are seen.</param>
    /// <param name="size">Head size.</param>
    /// <param name="scale">Multiplies scores.</param>
    /// <param name="softCap">Soft cap on scores, 0 for none.</param>
    /// <param name="scores">Scratch of <paramref name="positions"/> floats, rounded up to 16.</param>
    /// <param name="output">Receives <paramref name="size"/> floats.</param>
    public static void Attend(
        float* query, float* keys, float* values, nint stride, int positions, int size, float scale, float softCap, float* scores, float* output)
    {
        var max = float.NegativeInfinity;
        for (var p = 0; p < positions; p++)
        {
            var score = Dot(query, keys + p * stride, size) * scale;
            if (softCap > 0) score = softCap * MathF.Tanh(score / softCap);
            scores[p] = score;
            max = Math.Max(max, score);
        }
        var sum = Exponentials(scores, positions, max);
        new Span<float>(output, size).Clear();
        for (var p = 0; p < positions; p++) AddScaled(output, values + p * stride, scores[p], size);
        var inverse = 1 / sum;
        for (var i = 0; i < size; i++) output[i] *= inverse;
    }

    private static float Exponentials(float* scores, int count, float max)
    {
        var padded = (count + 15) & ~15;
        for (var i = count; i < padded; i++) scores[i] = float.NegativeInfinity;
        var sum = Vector512<float>.Zero;
        for (var i = 0; i < padded; i += 16)
        {
            var e = Vector512.Exp(Vector512.Load(scores + i) - Vector512.Create(max));
            e.Store(scores + i);
            sum += e;
        }
        return Vector512.Sum(sum);
    }

    private static float Dot(float* a, float* b, int length)
    {
        var sum = Vector512<float>.Zero;
        var i = 0;
        for (; i <= length - 16; i += 16) sum = Vector512.FusedMultiplyAdd(Vector512.Load(a + i), Vector512.Load(b + i), sum);
        var total = Vector512.Sum(sum);
        for (; i < length; i++) total += a[i] * b[i];
        return total;
    }

    private static void AddScaled(float* to, float* from, float factor, int length)
    {
        var by = Vector512.Create(factor);
        var i = 0;
        for (; i <= length - 16; i += 16) Vector512.FusedMultiplyAdd(Vector512.Load(from + i), by, Vector512.Load(to + i)).Store(to + i);
        for (; i < length; i++) to[i] += from[i] * factor;
    }
}
