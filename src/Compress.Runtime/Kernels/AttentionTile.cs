using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Compress.Runtime.Kernels;

/// <summary>
/// Attention of sixteen queries that share keys and values (tokens of a prompt, heads of a group), one query a lane: no sum is ever taken
/// across a vector, and each key is read once for all sixteen.
/// </summary>
/// <remarks>
/// Softmax is online over blocks of positions (Milakov and Gimelshein 2018, arXiv:1805.02867), so that scores need a fixed amount of memory.
/// </remarks>
internal static unsafe class AttentionTile
{
    /// <summary>Queries of a tile.</summary>
    public const int Lanes = 16;

    /// <summary>Positions whose scores are held at once.</summary>
    private const int BlockPositions = 128;

    /// <summary>Floats of scratch for heads of <paramref name="size"/>.</summary>
    public static int ScratchFloats(int size) => Lanes * (2 * ((size + 7) / 8 * 8) + BlockPositions);

    /// <summary><c>output = softmax(cap(q·Kᵀ · scale)) V</c> for each lane.</summary>
    /// <param name="queries">The lanes' queries; where fewer than sixteen, the last repeats.</param>
    /// <param name="outputs">The lanes' outputs.</param>
    /// <param name="lanes">Lanes in use.</param>
    /// <param name="first">First position that each lane sees.</param>
    /// <param name="end">One past the last position that each lane sees.</param>
    /// <param name="keys">Keys of position 0, one every <paramref name="stride"/> floats.</param>
    /// <param name="values">Values, likewise.</param>
    /// <param name="stride">Floats from one position to the next.</param>
    /// <param name="size">Head size.</param>
    /// <param name="scale">Multiplies scores.</param>
    /// <param name="softCap">Soft cap on scores, 0 for none.</param>
    /// <param name="scratch">As <see cref="ScratchFloats"/> says, aligned.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Attend(
        float** queries, float** outputs, int lanes, Vector512<int> first, Vector512<int> end, float* keys, float* values, nint stride, int size,
        float scale, float softCap, float* scratch)
    {
        float* packed = scratch, sums = packed + Lanes * ((size + 7) / 8 * 8), scores = sums + Lanes * ((size + 7) / 8 * 8);
        for (var lane = 0; lane < Lanes; lane++)
        {
            var query = queries[Math.Min(lane, lanes - 1)];
            for (var d = 0; d < size; d++) packed[Lanes * d + lane] = query[d] * scale;
        }
        new Span<float>(sums, Lanes * size).Clear();
        var (from, to) = Range(first, end, lanes);
        var max = Vector512.Create(float.NegativeInfinity);
        var total = Vector512<float>.Zero;
        for (var block = from; block < to; block += BlockPositions)
        {
            var count = Math.Min(BlockPositions, to - block);
            var newMax = Vector512.Max(max, Scores(packed, keys + block * stride, stride, size, count, block, first, end, softCap, scores));
            // A lane that has seen nothing yet has no maximum to subtract.
            var shift = Vector512.ConditionalSelect(Vector512.Equals(newMax, Vector512.Create(float.NegativeInfinity)), Vector512<float>.Zero, newMax);
            var correction = Vector512.Exp(max - shift);
            total *= correction;
            for (var p = 0; p < count; p++)
            {
                var weight = Vector512.Exp(Vector512.Load(scores + Lanes * p) - shift);
                weight.Store(scores + Lanes * p);
                total += weight;
            }
            AddValues(scores, values + block * stride, stride, size, count, correction, sums);
            max = newMax;
        }
        var inverse = Vector512<float>.One / total;
        for (var d = 0; d < size; d++) (Vector512.Load(sums + Lanes * d) * inverse).Store(sums + Lanes * d);
        for (var lane = 0; lane < lanes; lane++)
        {
            for (var d = 0; d < size; d++) outputs[lane][d] = sums[Lanes * d + lane];
        }
    }

    private static (int From, int To) Range(Vector512<int> first, Vector512<int> end, int lanes)
    {
        var (from, to) = (first[0], end[0]);
        for (var lane = 1; lane < lanes; lane++) (from, to) = (Math.Min(from, first[lane]), Math.Max(to, end[lane]));
        return (from, to);
    }

    /// <summary>Scores of a block of positions; returns each lane's largest.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static Vector512<float> Scores(
        float* packed, float* keys, nint stride, int size, int count, int position, Vector512<int> first, Vector512<int> end, float softCap, float* scores)
    {
        var max = Vector512.Create(float.NegativeInfinity);
        for (var p = 0; p < count; p += 8)
        {
            // The last positions of a short block are computed again rather than apart.
            var at = Math.Max(0, Math.Min(p, count - 8));
            float* k0 = keys + at * stride, k1 = k0 + (count > 1 ? stride : 0), k2 = k1 + (count > 2 ? stride : 0), k3 = k2 + (count > 3 ? stride : 0);
            float* k4 = k3 + (count > 4 ? stride : 0), k5 = k4 + (count > 5 ? stride : 0), k6 = k5 + (count > 6 ? stride : 0), k7 = k6 + (count > 7 ? stride : 0);
            Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default, s4 = default, s5 = default, s6 = default, s7 = default;
            for (var d = 0; d < size; d++)
            {
                var q = Vector512.Load(packed + Lanes * d);
                s0 = Vector512.FusedMultiplyAdd(Vector512.Create(k0[d]), q, s0);
                s1 = Vector512.FusedMultiplyAdd(Vector512.Create(k1[d]), q, s1);
                s2 = Vector512.FusedMultiplyAdd(Vector512.Create(k2[d]), q, s2);
                s3 = Vector512.FusedMultiplyAdd(Vector512.Create(k3[d]), q, s3);
                s4 = Vector512.FusedMultiplyAdd(Vector512.Create(k4[d]), q, s4);
                s5 = Vector512.FusedMultiplyAdd(Vector512.Create(k5[d]), q, s5);
                s6 = Vector512.FusedMultiplyAdd(Vector512.Create(k6[d]), q, s6);
                s7 = Vector512.FusedMultiplyAdd(Vector512.Create(k7[d]), q, s7);
            }
            var to = scores + Lanes * at;
            s0.Store(to);
            if (count > 1) s1.Store(to + Lanes);
            if (count > 2) s2.Store(to + 2 * Lanes);
            if (count > 3) s3.Store(to + 3 * Lanes);
            if (count > 4) s4.Store(to + 4 * Lanes);
            if (count > 5) s5.Store(to + 5 * Lanes);
            if (count > 6) s6.Store(to + 6 * Lanes);
            if (count > 7) s7.Store(to + 7 * Lanes);
        }
        for (var p = 0; p < count; p++)
        {
            var score = Vector512.Load(scores + Lanes * p);
            if (softCap > 0) score = softCap * (Vector512<float>.One - Vector512.Create(2f) / (Vector512.Exp(score * (2 / softCap)) + Vector512<float>.One));
            var here = Vector512.Create(position + p);
            var seen = (Vector512.GreaterThanOrEqual(here, first) & Vector512.LessThan(here, end)).AsSingle();
            score = Vector512.ConditionalSelect(seen, score, Vector512.Create(float.NegativeInfinity));
            score.Store(scores + Lanes * p);
            max = Vector512.Max(max, score);
        }
        return max;
    }

    /// <summary>Sums <c>[size, lanes]</c> are corrected and take a block's values, weighted.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddValues(float* weights, float* values, nint stride, int size, int count, Vector512<float> correction, float* sums)
    {
        var d = 0;
        for (; d <= size - 8; d += 8)
        {
            var to = sums + Lanes * d;
            Vector512<float> s0 = Vector512.Load(to) * correction, s1 = Vector512.Load(to + 16) * correction;
            Vector512<float> s2 = Vector512.Load(to + 32) * correction, s3 = Vector512.Load(to + 48) * correction;
            Vector512<float> s4 = Vector512.Load(to + 64) * correction, s5 = Vector512.Load(to + 80) * correction;
            Vector512<float> s6 = Vector512.Load(to + 96) * correction, s7 = Vector512.Load(to + 112) * correction;
            var v = values + d;
            for (var p = 0; p < count; p++, v += stride)
            {
                var w = Vector512.Load(weights + Lanes * p);
                s0 = Vector512.FusedMultiplyAdd(Vector512.Create(v[0]), w, s0);
                s1 = Vector512.FusedMultiplyAdd(Vector512.Create(v[1]), w, s1);
                s2 = Vector512.FusedMultiplyAdd(Vector512.Create(v[2]), w, s2);
                s3 = Vector512.FusedMultiplyAdd(Vector512.Create(v[3]), w, s3);
                s4 = Vector512.FusedMultiplyAdd(Vector512.Create(v[4]), w, s4);
                s5 = Vector512.FusedMultiplyAdd(Vector512.Create(v[5]), w, s5);
                s6 = Vector512.FusedMultiplyAdd(Vector512.Create(v[6]), w, s6);
                s7 = Vector512.FusedMultiplyAdd(Vector512.Create(v[7]), w, s7);
            }
            s0.Store(to);
            s1.Store(to + 16);
            s2.Store(to + 32);
            s3.Store(to + 48);
            s4.Store(to + 64);
            s5.Store(to + 80);
            s6.Store(to + 96);
            s7.Store(to + 112);
        }
        for (; d < size; d++)
        {
            var sum = Vector512.Load(sums + Lanes * d) * correction;
            for (var p = 0; p < count; p++) sum = Vector512.FusedMultiplyAdd(Vector512.Create(values[p * stride + d]), Vector512.Load(weights + Lanes * p), sum);
            sum.Store(sums + Lanes * d);
        }
    }
}
