using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Numerics;
using Compress.Core.Statistics;
using Compress.Formats.Encodings;
using MathNet.Numerics.LinearAlgebra;
using static TorchSharp.torch;

namespace Compress.Quant.Tests;

/// <summary>Small layers with inputs as uneven as those of a language model.</summary>
internal static class Layers
{
    public static Hessian Hessian(int columns, int tokens, ulong seed)
    {
        using var scope = NewDisposeScope();
        var generator = new Generator(seed);
        var mix = randn(columns, columns, generator: generator) / Math.Sqrt(columns) + eye(columns);
        var x = randn(tokens, columns, generator: generator).mm(mix) * (1 + 5 * rand(columns, generator: generator).pow(8));
        var hessian = new Hessian(columns, CPU);
        hessian.Accumulate(x, 4);
        return hessian;
    }

    public static LinearView View(Tensor weight, Tensor? mask = null) => new("model.layers.0.mlp.up_proj", SiteRole.Up, weight, mask, 0);

    public static Matrix<double> Double(Tensor matrix)
    {
        using var here = HostMatrix.Of(matrix);
        return Matrix<double>.Build.Dense(here.Rows, here.Columns, (i, j) => here.Row(i)[j]);
    }

    public static Tensor Single(double[,] matrix) => tensor(matrix).to(ScalarType.Float32);

    /// <summary><c>tr(ΔW H ΔWᵀ)</c> in double.</summary>
    public static double OutputError(Tensor before, Tensor after, Hessian hessian)
    {
        using var scope = NewDisposeScope();
        var delta = (after - before).to(ScalarType.Float64);
        return (delta.mm(hessian.ToMatrix().to(ScalarType.Float64)) * delta).sum().item<double>();
    }

    /// <summary>
    /// Rows whose codes differ. Each must begin to differ, in the order of steps, at a weight that lies so close to the border of two
    /// codes that f32 and double may disagree; what follows in that row depends on it.
    /// </summary>
    public static int RowsThatDiffer(int[,] expected, GroupQuantizedWeight actual, double[,] tieDistance, Hessian hessian, bool activationOrder)
    {
        var order = Enumerable.Range(0, actual.Columns).ToArray();
        if (activationOrder)
        {
            using var h = hessian.ToMatrix();
            using var diagonal = HostMatrix.Of(h);
            order = [.. order.OrderByDescending(c => diagonal.Row(c)[c])];
        }
        var rows = 0;
        for (var r = 0; r < actual.Rows; r++)
        {
            var first = order.FirstOrDefault(c => expected[r, c] != actual.Codes[r * actual.Columns + c], -1);
            if (first < 0) continue;
            rows++;
            Assert.InRange(tieDistance[r, first], 0, 2e-3);
        }
        return rows;
    }
}
