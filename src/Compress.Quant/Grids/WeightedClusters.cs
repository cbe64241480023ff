namespace Compress.Quant.Grids;

/// <summary>
/// Weighted k-means in one dimension, solved exactly: the centres with the least <c>Σ_i s_i (w_i − c(i))²</c>. Buffers are kept from one
/// fit to the next.
/// </summary>
/// <remarks>
/// Clusters of the best solution are intervals of the sorted values, so that dynamic programming over the number of clusters finds it
/// (Wang and Song, "Ckmeans.1d.dp", The R Journal 3/2, 2011): <c>D[q, i] = min_j D[q−1, j] + cost(j, i)</c>. The best j does not fall as i
/// rises, so each q takes n·log n steps. Costs are differences of prefix sums in f64 of values less their mean.
/// </remarks>
/// <param name="capacity">Most values.</param>
/// <param name="clusters">Number of centres.</param>
public sealed class WeightedClusters(int capacity, int clusters)
{
    private readonly float[] sorted = new float[capacity];
    private readonly double[] shares = new double[capacity];
    private readonly double[] weight = new double[capacity + 1];
    private readonly double[] first = new double[capacity + 1];
    private readonly double[] second = new double[capacity + 1];
    private readonly int[,] begins = new int[clusters, capacity + 1];
    private double[] below = new double[capacity + 1];
    private double[] best = new double[capacity + 1];
    private double mean;

    /// <summary>Finds the centres.</summary>
    /// <param name="values">The values, finite.</param>
    /// <param name="sensitivity">Their weights, finite, at least 0; where all are 0, all count alike.</param>
    /// <param name="centres">Takes the centres in ascending order; where there are fewer distinct values, the last are equal.</param>
    /// <returns>The least sum.</returns>
    public double Fit(ReadOnlySpan<float> values, ReadOnlySpan<double> sensitivity, Span<float> centres)
    {
        var n = values.Length;
        centres.Clear();
        if (n == 0) return 0;
        values.CopyTo(sorted);
        sensitivity.CopyTo(shares);
        Array.Sort(sorted, shares, 0, n);
        if (!shares.AsSpan(0, n).ContainsAnyExcept(0)) shares.AsSpan(0, n).Fill(1);
        Accumulate(n);
        for (var i = 0; i <= n; i++) below[i] = Cost(0, i);
        for (var q = 1; q < clusters; q++)
        {
            Divide(q, 0, n, 0, n);
            (below, best) = (best, below);
        }
        var end = n;
        for (var q = clusters - 1; q >= 0; q--)
        {
            var begin = q == 0 ? 0 : begins[q, end];
            // An empty interval stands for no values: it repeats the next centre.
            centres[q] = begin < end ? (float)(mean + Centre(begin, end)) : q + 1 < clusters ? centres[q + 1] : sorted[n - 1];
            end = begin;
        }
        return below[n];
    }

    private void Accumulate(int n)
    {
        double sum = 0, mass = 0;
        for (var i = 0; i < n; i++)
        {
            sum += shares[i] * sorted[i];
            mass += shares[i];
        }
        mean = sum / mass;
        for (var i = 0; i < n; i++)
        {
            var value = sorted[i] - mean;
            weight[i + 1] = weight[i] + shares[i];
            first[i + 1] = first[i] + shares[i] * value;
            second[i + 1] = second[i] + shares[i] * value * value;
        }
    }

    private double Cost(int begin, int end)
    {
        var mass = weight[end] - weight[begin];
        if (!(mass > 0)) return 0;
        var sum = first[end] - first[begin];
        return Math.Max(0, second[end] - second[begin] - sum * sum / mass);
    }

    /// <summary>Centre of an interval, less the mean; of values without weight their plain mean.</summary>
    private double Centre(int begin, int end)
    {
        var mass = weight[end] - weight[begin];
        if (mass > 0) return Math.Clamp((first[end] - first[begin]) / mass, sorted[begin] - mean, sorted[end - 1] - mean);
        var sum = 0.0;
        for (var i = begin; i < end; i++) sum += sorted[i] - mean;
        return sum / (end - begin);
    }

    /// <summary>Best intervals number <paramref name="q"/> for ends from … to, whose beginnings lie in low … high.</summary>
    private void Divide(int q, int from, int to, int low, int high)
    {
        if (from > to) return;
        var middle = (from + to) / 2;
        var (least, at) = (double.PositiveInfinity, low);
        for (var j = low; j <= Math.Min(middle, high); j++)
        {
            var cost = below[j] + Cost(j, middle);
            if (cost < least) (least, at) = (cost, j);
        }
        (best[middle], begins[q, middle]) = (least, at);
        Divide(q, from, middle - 1, low, at);
        Divide(q, middle + 1, to, at, high);
    }
}
