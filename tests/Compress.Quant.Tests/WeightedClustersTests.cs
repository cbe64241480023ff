using Compress.Quant.Grids;

namespace Compress.Quant.Tests;

public class WeightedClustersTests
{
    [Fact]
    public void No_partition_into_intervals_has_less_error()
    {
        var random = new Random(1);
        for (var trial = 0; trial < 60; trial++)
        {
            var n = random.Next(1, 13);
            var (values, shares) = Values(random, n, ties: trial % 3 == 0, zeros: trial % 4 == 0);
            foreach (var clusters in new[] { 2, 4 })
            {
                var centres = new float[clusters];
                var error = new WeightedClusters(16, clusters).Fit(values, shares, centres);
                var sorted = values.Zip(shares).OrderBy(p => p.First).ToArray();
                var weights = shares.All(s => s == 0) ? [.. sorted.Select(_ => 1.0)] : sorted.Select(p => p.Second).ToArray();
                var least = Enumerate([.. sorted.Select(p => (double)p.First)], weights, 0, clusters);
                Assert.Equal(least, error, 1e-12);
                Assert.InRange(LloydReference.Error(values, shares, centres), 0, least + 1e-9);
                Assert.Equal(centres.Order(), centres);
            }
        }
    }

    [Theory]
    [InlineData(8)]
    [InlineData(16)]
    public void The_error_is_not_above_that_of_the_best_of_many_runs_of_lloyd(int clusters)
    {
        var random = new Random(2);
        var fit = new WeightedClusters(400, clusters);
        var better = 0;
        for (var trial = 0; trial < 10; trial++)
        {
            var (values, shares) = Values(random, 400, ties: false, zeros: trial % 2 == 0);
            var centres = new float[clusters];
            var error = fit.Fit(values, shares, centres);
            var lloyd = Enumerable.Range(0, 5).Min(seed => LloydReference.Error(values, shares, LloydReference.Centres(values, shares, clusters, seed)));
            Assert.InRange(LloydReference.Error(values, shares, centres), 0, lloyd * 1.000001);
            Assert.InRange(error, 0, lloyd * 1.000001);
            if (error < lloyd * 0.999) better++;
        }
        Assert.True(better > 0);
    }

    [Fact]
    public void Few_distinct_values_are_met_exactly()
    {
        var centres = new float[8];
        Assert.Equal(0, new WeightedClusters(8, 8).Fit([3f, -1f, 3f, 0.5f], [1, 2, 0, 1], centres), 1e-12);
        Assert.All([3f, -1f, 0.5f], v => Assert.Contains(v, centres));
        Assert.Equal(0, new WeightedClusters(8, 8).Fit([], [], centres));
        Assert.All(centres, c => Assert.Equal(0, c));
    }

    private static (float[] Values, double[] Shares) Values(Random random, int n, bool ties, bool zeros) => (
        [.. Enumerable.Range(0, n).Select(_ => ties ? random.Next(5) : (float)Math.Pow(random.NextDouble() * 2 - 1, 3))],
        [.. Enumerable.Range(0, n).Select(_ => zeros && random.Next(2) == 0 ? 0 : Math.Pow(random.NextDouble(), 4))]);

    private static double Enumerate(double[] values, double[] weights, int from, int clusters)
    {
        if (from == values.Length) return 0;
        if (clusters == 0) return double.PositiveInfinity;
        var least = double.PositiveInfinity;
        for (var to = from + 1; to <= values.Length; to++)
        {
            var mass = weights[from..to].Sum();
            var mean = mass > 0 ? values[from..to].Zip(weights[from..to], (v, w) => v * w).Sum() / mass : 0;
            var cost = values[from..to].Zip(weights[from..to], (v, w) => w * (v - mean) * (v - mean)).Sum();
            least = Math.Min(least, cost + Enumerate(values, weights, to, clusters - 1));
        }
        return least;
    }
}

/// <summary>Weighted k-means by Lloyd's steps from a k-means++ start, as plainly as it can be written.</summary>
internal static class LloydReference
{
    public static double Error(IReadOnlyList<float> values, IReadOnlyList<double> shares, IReadOnlyList<float> centres)
    {
        var count = shares.All(s => s == 0) ? [.. shares.Select(_ => 1.0)] : shares;
        return values.Select((v, i) => count[i] * centres.Min(c => ((double)v - c) * ((double)v - c))).Sum();
    }

    public static float[] Centres(IReadOnlyList<float> values, IReadOnlyList<double> shares, int clusters, int seed)
    {
        var random = new Random(seed);
        var centres = new List<double> { values[random.Next(values.Count)] };
        while (centres.Count < clusters)
        {
            var distances = values.Select((v, i) => shares[i] * centres.Min(c => (v - c) * (v - c))).ToArray();
            var at = random.NextDouble() * distances.Sum();
            var next = 0;
            while (next < distances.Length - 1 && (at -= distances[next]) > 0) next++;
            centres.Add(values[next]);
        }
        for (var step = 0; step < 50; step++)
        {
            var nearest = values.Select(v => Enumerable.Range(0, clusters).MinBy(k => Math.Abs(v - centres[k]))).ToArray();
            for (var k = 0; k < clusters; k++)
            {
                var members = Enumerable.Range(0, values.Count).Where(i => nearest[i] == k).ToArray();
                var mass = members.Sum(i => shares[i]);
                if (mass > 0) centres[k] = members.Sum(i => shares[i] * values[i]) / mass;
            }
        }
        return [.. centres.Select(c => (float)c)];
    }
}
