using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Statistics;
using static TorchSharp.torch;

namespace Compress.Pruning.Tests;

/// <summary>Small sites and the plain, sorted definition of what pruning removes.</summary>
internal static class Sites
{
    public static LinearView View(float[,] weight, bool[,]? mask = null, string name = "model.layers.0.mlp.up_proj") =>
        new(name, SiteRole.Up, tensor(weight), mask is null ? null : tensor(mask), 0);

    public static float[,] Random(int rows, int columns, int seed, bool coarse = false)
    {
        var random = new Random(seed);
        var result = new float[rows, columns];
        for (var r = 0; r < rows; r++)
        {
            for (var c = 0; c < columns; c++)
            {
                var value = random.NextDouble() * 2 - 1;
                result[r, c] = coarse ? (float)Math.Round(value * 4) / 4 : (float)value;
            }
        }
        return result;
    }

    public static bool[,] RandomMask(int rows, int columns, double kept, int seed)
    {
        var random = new Random(seed);
        var result = new bool[rows, columns];
        for (var r = 0; r < rows; r++)
        {
            for (var c = 0; c < columns; c++) result[r, c] = random.NextDouble() < kept;
        }
        return result;
    }

    public static StatisticsSet Norms(float[,] x, int sequences = 1)
    {
        var norms = new ColumnNorms(x.GetLength(1), CPU);
        using var inputs = tensor(x);
        norms.Accumulate(inputs, sequences);
        return new StatisticsSet([norms]);
    }

    public static float[,] Apply(ILinearMethod method, LinearView site, StatisticsSet? statistics = null, SiteLog? log = null)
    {
        using var result = method.Apply(site, statistics ?? StatisticsSet.Empty, log ?? new SiteLog());
        Assert.Equal(ScalarType.Float32, result.Weight.dtype);
        var flat = result.Weight.data<float>().ToArray();
        var (rows, columns) = ((int)result.Weight.shape[0], (int)result.Weight.shape[1]);
        var array = new float[rows, columns];
        Buffer.BlockCopy(flat, 0, array, 0, flat.Length * sizeof(float));
        return array;
    }

    /// <summary>Zeroes the <paramref name="count"/> first cells after a stable ascending sort by score.</summary>
    public static void ZeroSmallest(float[,] weight, IEnumerable<(int Row, int Column)> cells, Func<int, int, double> score, int count)
    {
        foreach (var (r, c) in cells.OrderBy(cell => score(cell.Row, cell.Column)).Take(count)) weight[r, c] = 0;
    }

    public static IEnumerable<(int Row, int Column)> Cells(int row, int from, int to) =>
        Enumerable.Range(from, to - from).Select(c => (row, c));
}
