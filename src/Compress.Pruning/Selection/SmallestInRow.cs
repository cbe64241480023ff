using System.Numerics;
using System.Runtime.InteropServices;

namespace Compress.Pruning.Selection;

/// <summary>Marks the smallest keys of a row: exactly those that come first after a stable ascending sort.</summary>
/// <remarks>
/// Instead of sorting, the k-th smallest key is found by bisection over the integers, each step one vectorised count; keys of one row
/// stay in the first-level cache. Random scores need about log2(row length) + 2 steps.
/// </remarks>
public static class SmallestInRow
{
    /// <summary>
    /// Sets <paramref name="weights"/> to zero where the key is among the <paramref name="count"/> smallest; of equal keys the first
    /// ones.
    /// </summary>
    /// <param name="keys">Keys, −1 … 2^31−2.</param>
    /// <param name="count">How many to remove, 0 … keys.</param>
    /// <param name="weights">The row's weights, one for each key.</param>
    public static void Zero(ReadOnlySpan<int> keys, int count, Span<float> weights)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(weights.Length, keys.Length);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, keys.Length);
        if (count == 0) return;
        var (bound, ties) = Threshold(keys, count);
        ZeroBelow(keys, bound, weights);
        ZeroTies(keys, bound, ties, weights);
    }

    /// <summary>Sets weights whose key is below a bound to zero.</summary>
    internal static void ZeroBelow(ReadOnlySpan<int> keys, int bound, Span<float> weights)
    {
        var i = 0;
        var limit = new Vector<int>(bound);
        for (; i <= keys.Length - Vector<int>.Count; i += Vector<int>.Count)
        {
            var below = Vector.LessThan(new Vector<int>(keys[i..]), limit);
            Vector.ConditionalSelect(below, Vector<float>.Zero, new Vector<float>(weights[i..])).CopyTo(weights[i..]);
        }
        for (; i < keys.Length; i++)
        {
            if (keys[i] < bound) weights[i] = 0;
        }
    }

    /// <summary>Sets the first weights whose key equals a bound to zero.</summary>
    internal static void ZeroTies(ReadOnlySpan<int> keys, int bound, long ties, Span<float> weights)
    {
        for (var at = 0; ties > 0; ties--)
        {
            at += keys[at..].IndexOf(bound);
            weights[at++] = 0;
        }
    }

    /// <summary>Number of keys below a bound.</summary>
    internal static int CountBelow(ReadOnlySpan<int> keys, int bound)
    {
        var vectors = MemoryMarshal.Cast<int, Vector<int>>(keys);
        var limit = new Vector<int>(bound);
        Vector<int> a = default, b = default;
        var v = 0;
        for (; v <= vectors.Length - 2; v += 2)
        {
            a -= Vector.LessThan(vectors[v], limit);
            b -= Vector.LessThan(vectors[v + 1], limit);
        }
        if (v < vectors.Length) a -= Vector.LessThan(vectors[v], limit);
        var total = Vector.Sum(a + b);
        for (var i = vectors.Length * Vector<int>.Count; i < keys.Length; i++)
        {
            if (keys[i] < bound) total++;
        }
        return total;
    }

    /// <summary>The bound below which every key goes, and how many keys equal to it go as well.</summary>
    private static (int Bound, int Ties) Threshold(ReadOnlySpan<int> keys, int count)
    {
        // Fewer than count keys are below `low`, at least count are below `high`.
        var (least, greatest) = Range(keys);
        long low = least, high = (long)greatest + 1;
        var belowLow = 0;
        while (high - low > 1)
        {
            var middle = (int)((low + high) / 2);
            var below = CountBelow(keys, middle);
            if (below == count) return (middle, 0);
            if (below < count) (low, belowLow) = (middle, below);
            else high = middle;
        }
        return ((int)low, count - belowLow);
    }

    private static (int Least, int Greatest) Range(ReadOnlySpan<int> keys)
    {
        var vectors = MemoryMarshal.Cast<int, Vector<int>>(keys);
        var (least, greatest) = (keys[0], keys[0]);
        if (vectors.Length > 0)
        {
            var (leastLanes, greatestLanes) = (vectors[0], vectors[0]);
            foreach (var v in vectors)
            {
                leastLanes = Vector.Min(leastLanes, v);
                greatestLanes = Vector.Max(greatestLanes, v);
            }
            for (var lane = 0; lane < Vector<int>.Count; lane++)
            {
                least = Math.Min(least, leastLanes[lane]);
                greatest = Math.Max(greatest, greatestLanes[lane]);
            }
        }
        foreach (var key in keys[(vectors.Length * Vector<int>.Count)..])
        {
            least = Math.Min(least, key);
            greatest = Math.Max(greatest, key);
        }
        return (least, greatest);
    }
}
