using System.Runtime.InteropServices;
using Compress.Core.Methods;
using TorchSharp;

namespace Compress.Pruning.Selection;

/// <summary>Selection by magnitude over whole matrices: exactly the first weights of a stable ascending sort in row-major order.</summary>
internal static class MatrixSelection
{
    /// <summary>Counts a site's magnitudes.</summary>
    /// <param name="weights">The site.</param>
    /// <param name="upper">Class of upper bits to look into, or null to count the classes themselves.</param>
    /// <returns>The counts, and how many weights an earlier stage removed (they are not counted).</returns>
    public static (KeyHistogram Counts, long Removed) Count(SiteWeights weights, int? upper)
    {
        using var perWorker = new ThreadLocal<KeyHistogram>(() => Histogram(upper), trackAllValues: true);
        var removed = 0L;
        weights.ForEachRow(weights.Columns, (row, values, keys) =>
        {
            Interlocked.Add(ref removed, Keys(weights, row, values, keys));
            perWorker.Value!.Add(keys);
        });
        var total = Histogram(upper);
        foreach (var one in perWorker.Values) total.Add(one);
        return (total, removed);
    }

    /// <summary>Where the smallest <paramref name="count"/> weights of one matrix end, those that were removed earlier included.</summary>
    public static KeyThreshold Find(SiteWeights weights, long count)
    {
        var (coarse, removed) = Count(weights, null);
        if (count <= removed) return KeyThreshold.None;
        var (upper, rest) = coarse.Locate(count - removed);
        return Count(weights, upper).Counts.Threshold(rest);
    }

    /// <summary>Zeroes what lies below a threshold.</summary>
    /// <returns>The site's new weight, owned.</returns>
    public static torch.Tensor Prune(SiteWeights weights, KeyThreshold threshold, SiteLog log)
    {
        var ties = TiesOfRows(weights, threshold);
        weights.ForEachRow(weights.Columns, (row, values, keys) =>
        {
            Keys(weights, row, values, keys);
            SmallestInRow.ZeroBelow(keys, threshold.Bound, values);
            SmallestInRow.ZeroTies(keys, threshold.Bound, ties[row], values);
        });
        return weights.Finish(log);
    }

    private static long[] TiesOfRows(SiteWeights weights, KeyThreshold threshold)
    {
        var ties = new long[weights.Rows];
        if (threshold.Ties == 0) return ties;
        weights.ForEachRow(weights.Columns, (row, values, keys) =>
        {
            Keys(weights, row, values, keys);
            ties[row] = keys.AsSpan().Count(threshold.Bound);
        });
        var left = threshold.Ties;
        for (var row = 0; row < ties.Length; row++)
        {
            ties[row] = Math.Min(ties[row], left);
            left -= ties[row];
        }
        return ties;
    }

    private static int Keys(SiteWeights weights, int row, ReadOnlySpan<float> values, int[] keys)
    {
        RowPruner.Magnitudes(values, [], MemoryMarshal.Cast<int, float>(keys.AsSpan()));
        return weights.MarkRemoved(row, keys);
    }

    private static KeyHistogram Histogram(int? upper) => upper is { } u ? new KeyHistogram(u) : new KeyHistogram();
}
