using Compress.Core.Methods;
using Compress.Core.Statistics;
using Compress.Pruning.Methods;
using MathNet.Numerics.LinearAlgebra;
using static TorchSharp.torch;

namespace Compress.Pruning.Tests;

public class SparseGptTests
{
    [Theory]
    [InlineData(0.5, 8)]
    [InlineData(0.5, 128)]
    [InlineData(0.7, 16)]
    [InlineData(0.3, 7)]
    [InlineData(0, 16)]
    [InlineData(1, 16)]
    public void Equals_the_published_algorithm(double sparsity, int blockSize)
    {
        var (w, x) = (Sites.Random(12, 48, 1), Correlated(200, 48, 2));
        x = Spoilt(x);
        var ours = Sites.Apply(new SparseGpt(new() { Sparsity = sparsity, BlockSize = blockSize }), Sites.View(w), Gathered(x));
        Same(Published(w, x, sparsity, Pattern.Unstructured, blockSize), ours);
    }

    [Theory]
    [InlineData(2, 4)]
    [InlineData(1, 4)]
    [InlineData(4, 8)]
    public void N_of_m_equals_the_published_algorithm(int kept, int group)
    {
        var (w, x) = (Sites.Random(12, 48, 3), Correlated(200, 48, 4));
        var pattern = Pattern.Of(kept, group);
        var ours = Sites.Apply(new SparseGpt(new() { Pattern = pattern, BlockSize = 16 }), Sites.View(w), Gathered(x));
        Same(Published(w, x, 0, pattern, 16), ours);
    }

    [Fact]
    public void Later_weights_make_good_what_is_lost()
    {
        var (w, x) = (Sites.Random(16, 64, 5), Correlated(300, 64, 6));
        var ours = Sites.Apply(new SparseGpt(new() { Sparsity = 0.5 }), Sites.View(w), Gathered(x));
        var wanda = Sites.Apply(new Wanda(new() { Sparsity = 0.5 }), Sites.View(w), Sites.Norms(x));
        Assert.True(Error(w, ours, x) < 0.6 * Error(w, wanda, x), $"{Error(w, ours, x)} against {Error(w, wanda, x)}");
    }

    [Theory]
    [InlineData(0.29, 10)]
    [InlineData(0.5, 128)]
    public void Exactly_the_share_that_was_asked_for_goes(double sparsity, int blockSize)
    {
        var (w, x) = (Sites.Random(9, 50, 7), Correlated(100, 50, 8));
        var ours = Sites.Apply(new SparseGpt(new() { Sparsity = sparsity, BlockSize = blockSize }), Sites.View(w), Gathered(x));
        Assert.Equal((int)(450 * sparsity), ours.Cast<float>().Count(v => v == 0));
    }

    /// <summary>Cholesky, inverse, Cholesky and updates column by column, as in the published code, in double; ties are broken by index.</summary>
    private static double[,] Published(float[,] weight, float[,] x, double sparsity, Pattern pattern, int blockSize)
    {
        var (rows, n) = (weight.GetLength(0), weight.GetLength(1));
        var inputs = Matrix<double>.Build.Dense(x.GetLength(0), n, (i, j) => x[i, j]);
        var h = 2 * inputs.TransposeThisAndMultiply(inputs);
        var w = Matrix<double>.Build.Dense(rows, n, (i, j) => weight[i, j]);
        for (var j = 0; j < n; j++)
        {
            if (h[j, j] != 0) continue;
            h[j, j] = 1;
            w.ClearColumn(j);
        }
        h += Matrix<double>.Build.DenseIdentity(n) * 0.01 * h.Diagonal().Average();
        var u = h.Inverse().Cholesky().Factor.Transpose();
        for (var from = 0; from < n; from += blockSize)
        {
            var to = Math.Min(n, from + blockSize);
            var gone = new HashSet<(int, int)>();
            if (!pattern.IsStructured)
            {
                var count = (int)((double)rows * to * sparsity) - (int)((double)rows * from * sparsity);
                var cells = Enumerable.Range(0, rows).SelectMany(r => Enumerable.Range(from, to - from).Select(c => (r, c)));
                gone = [.. cells.OrderBy(c => Math.Pow(w[c.r, c.c] / u[c.c, c.c], 2)).Take(count)];
            }
            for (var k = from; k < to; k++)
            {
                for (var r = 0; r < rows; r++)
                {
                    if (pattern.IsStructured && k % pattern.Group == 0)
                    {
                        gone.UnionWith(Enumerable.Range(k, pattern.Group).OrderBy(c => Math.Pow(w[r, c] / u[c, c], 2))
                            .Take(pattern.Group - pattern.Kept).Select(c => (r, c)));
                    }
                    if (!gone.Contains((r, k))) continue;
                    var error = w[r, k] / u[k, k];
                    for (var j = k; j < n; j++) w[r, j] -= error * u[k, j];
                    w[r, k] = 0;
                }
            }
        }
        return w.ToArray();
    }

    private static void Same(double[,] expected, float[,] actual)
    {
        for (var r = 0; r < actual.GetLength(0); r++)
        {
            for (var c = 0; c < actual.GetLength(1); c++)
            {
                Assert.Equal(expected[r, c] == 0, actual[r, c] == 0);
                Assert.Equal(expected[r, c], actual[r, c], tolerance: 2e-4);
            }
        }
    }

    private static double Error(float[,] weight, float[,] pruned, float[,] x)
    {
        var (n, rows) = (weight.GetLength(1), weight.GetLength(0));
        var change = Matrix<double>.Build.Dense(rows, n, (i, j) => weight[i, j] - pruned[i, j]);
        var inputs = Matrix<double>.Build.Dense(x.GetLength(0), n, (i, j) => x[i, j]);
        return (inputs * change.Transpose()).FrobeniusNorm();
    }

    private static float[,] Correlated(int tokens, int columns, int seed)
    {
        var (mixed, own) = (Sites.Random(tokens, 6, seed), Sites.Random(tokens, columns, seed + 100));
        var mix = Sites.Random(6, columns, seed + 200);
        for (var t = 0; t < tokens; t++)
        {
            for (var c = 0; c < columns; c++)
            {
                own[t, c] *= 0.3f;
                for (var k = 0; k < 6; k++) own[t, c] += mixed[t, k] * mix[k, c];
            }
        }
        return own;
    }

    /// <summary>Two inputs that are always zero.</summary>
    private static float[,] Spoilt(float[,] x)
    {
        for (var t = 0; t < x.GetLength(0); t++) (x[t, 3], x[t, 20]) = (0, 0);
        return x;
    }

    private static StatisticsSet Gathered(float[,] x)
    {
        var hessian = new Hessian(x.GetLength(1), CPU);
        using var inputs = tensor(x);
        hessian.Accumulate(inputs, 1);
        return new StatisticsSet([hessian]);
    }
}
