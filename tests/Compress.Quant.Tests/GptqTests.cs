using Compress.Core.Methods;
using Compress.Core.Numerics;
using Compress.Core.Statistics;
using Compress.Quant.Grids;
using Compress.Quant.Methods;
using MathNet.Numerics.LinearAlgebra;
using static TorchSharp.torch;

namespace Compress.Quant.Tests;

public class GptqTests
{
    [Theory]
    [InlineData(40, 96, 4, -1, false, false, false, false)]
    [InlineData(40, 200, 3, -1, true, false, false, true)]
    [InlineData(33, 300, 4, 128, false, false, false, false)]
    [InlineData(20, 300, 4, 32, false, false, false, false)]
    [InlineData(20, 300, 2, 32, true, true, false, false)]
    [InlineData(20, 290, 3, 48, false, true, true, false)]
    [InlineData(20, 290, 4, 200, false, false, false, true)]
    [InlineData(20, 290, 8, 200, false, true, false, false)]
    [InlineData(20, 170, 4, 64, true, true, true, true)]
    [InlineData(150, 130, 4, 5, false, false, false, false)]
    [InlineData(40, 96, 3, -1, false, false, false, false, true)]
    [InlineData(20, 290, 3, 48, true, true, true, false, true)]
    [InlineData(20, 300, 4, 128, false, true, false, false, true)]
    public void Codes_are_those_of_the_published_algorithm(
        int rows, int columns, int bits, int groupSize, bool symmetric, bool activationOrder, bool staticGroups, bool mse, bool importance = false)
    {
        using var scope = NewDisposeScope();
        using var hessian = Layers.Hessian(columns, 3 * columns, 1);
        var w = randn(rows, columns, generator: new Generator(2)) * 0.05;
        var plain = new PlainGptq
        {
            Bits = bits,
            GroupSize = groupSize,
            Symmetric = symmetric,
            ActivationOrder = activationOrder,
            StaticGroups = staticGroups,
            Mse = mse,
            Importance = importance,
        };
        var (codes, decoded) = plain.Run(Layers.Double(w), Layers.Double(hessian.ToMatrix()));
        var log = new SiteLog();
        var options = new Gptq.Options
        {
            Bits = bits,
            GroupSize = groupSize,
            Symmetric = symmetric,
            ActivationOrder = activationOrder,
            StaticGroups = staticGroups,
            Mse = mse,
            Importance = importance,
            ScaleType = ScaleType.F32,
        };
        using var result = new Gptq(options).Apply(Layers.View(w), new StatisticsSet([hessian]), log);

        var different = Layers.RowsThatDiffer(codes, result.Quantized!, plain.TieDistance, hessian, activationOrder);
        Assert.InRange(different, 0, rows / 20);
        Assert.Equal(plain.Loss, log.Loss!.Value, plain.Loss * (different == 0 ? 1e-4 : 1e-2));
        Assert.Equal(Rung.None, log.Rung);
        var error = Layers.OutputError(w, result.Weight, hessian);
        var plainError = Layers.OutputError(w, Layers.Single(decoded), hessian);
        Assert.InRange(error, 0, different == 0 ? plainError * (1 + 1e-6) : plainError * 1.01);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(48)]
    public void Zeros_of_an_earlier_stage_stay_and_their_error_is_made_good(int groupSize)
    {
        using var scope = NewDisposeScope();
        using var hessian = Layers.Hessian(150, 500, 3);
        var w = randn(40, 150, generator: new Generator(4)) * 0.05;
        var mask = rand(40, 150, generator: new Generator(5)) > 0.5;
        var kept = new bool[40, 150];
        for (var r = 0; r < 40; r++) for (var c = 0; c < 150; c++) kept[r, c] = mask[r, c].item<bool>();
        // The removed weights are still there: their whole value is an error that later columns take over.
        var plain = new PlainGptq { Bits = 4, GroupSize = groupSize, Mask = kept };
        var (codes, _) = plain.Run(Layers.Double(w), Layers.Double(hessian.ToMatrix()));
        using var result = new Gptq(new() { GroupSize = groupSize, ScaleType = ScaleType.F32 })
            .Apply(Layers.View(w, mask), new StatisticsSet([hessian]), new SiteLog());
        Assert.InRange(Layers.RowsThatDiffer(codes, result.Quantized!, plain.TieDistance, hessian, false), 0, 2);
        Assert.Equal(0, (result.Weight * mask.logical_not()).abs().max().item<float>());
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Each_code_is_the_best_one_while_later_columns_are_free(int bits)
    {
        const int n = 6;
        using var scope = NewDisposeScope();
        using var hessian = Layers.Hessian(n, 40, 6);
        var w = randn(30, n, generator: new Generator(7)) * 0.05;
        using var result = new Gptq(new() { Bits = bits, GroupSize = -1 }).Apply(Layers.View(w), new StatisticsSet([hessian]), new SiteLog());
        var q = result.Quantized!;
        var h = Layers.Double(hessian.ToMatrix());
        h += Matrix<double>.Build.DenseIdentity(n) * (0.01 * h.Diagonal().Average());
        var weight = Layers.Double(w);
        for (var r = 0; r < 30; r++)
        {
            var error = new double[n];
            for (var j = 0; j < n; j++)
            {
                var costs = Enumerable.Range(0, 1 << bits).Select(code =>
                {
                    error[j] = weight[r, j] - (code - q.Zeros[r]) * (double)q.Scales[r];
                    return FreeCost(h, error, j);
                }).ToArray();
                var chosen = q.Codes[r * n + j];
                Assert.Equal(costs.Min(), costs[chosen], 1e-9 + 1e-5 * costs.Min());
                error[j] = weight[r, j] - (chosen - q.Zeros[r]) * (double)q.Scales[r];
            }
        }
    }

    [Theory]
    [InlineData(3, 128)]
    [InlineData(4, 32)]
    [InlineData(4, -1)]
    public void Layer_error_is_as_far_below_rounding_as_theory_says(int bits, int groupSize)
    {
        using var scope = NewDisposeScope();
        using var hessian = Layers.Hessian(256, 1000, 8);
        var w = randn(64, 256, generator: new Generator(9)) * 0.05;
        using var rtn = new Rtn(new() { Bits = bits, GroupSize = groupSize }).Apply(Layers.View(w), StatisticsSet.Empty, new SiteLog());
        var rounded = Layers.OutputError(w, rtn.Weight, hessian);
        foreach (var activationOrder in new[] { false, true })
        {
            using var gptq = new Gptq(new() { Bits = bits, GroupSize = groupSize, ActivationOrder = activationOrder })
                .Apply(Layers.View(w), new StatisticsSet([hessian]), new SiteLog());
            // Rounding errors are as good as independent: RTN's cost is their variance times tr H, GPTQ's times Σ d².
            var pivots = hessian.Factor(activationOrder, new DampingPolicy(0.01), out _)!.Diagonal.Sum(d => (double)d * d);
            var expected = pivots / hessian.ToMatrix().diagonal().sum().item<float>();
            Assert.InRange(expected, 0.3, 0.65);
            Assert.Equal(expected, Layers.OutputError(w, gptq.Weight, hessian) / rounded, 0.08);
        }
    }

    [Fact]
    public void Groups_in_activation_order_are_recorded_for_each_column()
    {
        using var scope = NewDisposeScope();
        using var hessian = Layers.Hessian(40, 200, 10);
        var w = randn(8, 40, generator: new Generator(11));
        using var dynamic = new Gptq(new() { GroupSize = 16, ActivationOrder = true }).Apply(
            Layers.View(w), new StatisticsSet([hessian]), new SiteLog());
        Assert.Equal([16, 16, 8], dynamic.Quantized!.GroupIndex!.GroupBy(g => g).OrderBy(g => g.Key).Select(g => g.Count()));
        var order = hessian.ToMatrix().diagonal().argsort(descending: true).data<long>().ToArray();
        Assert.Equal(Enumerable.Range(0, 40).Select(step => step / 16), order.Select(c => dynamic.Quantized.GroupIndex![c]));
        foreach (var options in new Gptq.Options[] { new() { GroupSize = 16, ActivationOrder = true, StaticGroups = true }, new() { GroupSize = 16 } })
        {
            using var plain = new Gptq(options).Apply(Layers.View(w), new StatisticsSet([hessian]), new SiteLog());
            Assert.Null(plain.Quantized!.GroupIndex);
        }
    }

    [Theory]
    [InlineData(100, 0.01, Rung.None)]
    [InlineData(5, 0, Rung.Damping)]
    public void Trouble_is_reported(int tokens, double damping, Rung rung)
    {
        using var scope = NewDisposeScope();
        using var hessian = Layers.Hessian(40, tokens, 12);
        var log = new SiteLog();
        using var result = new Gptq(new() { Damping = damping }).Apply(
            Layers.View(randn(8, 40)), new StatisticsSet([hessian]), log);
        Assert.Equal(rung, log.Rung);
        Assert.True(log.Damping >= damping);
    }

    [Fact]
    public void Without_a_usable_hessian_weights_are_rounded_to_nearest_and_it_is_said()
    {
        using var scope = NewDisposeScope();
        var x = randn(50, 40);
        x[3, 3] = float.NaN;
        using var hessian = new Hessian(40, CPU);
        hessian.Accumulate(x, 1);
        var w = randn(8, 40);
        var log = new SiteLog();
        using var result = new Gptq(new() { Bits = 3 }).Apply(Layers.View(w), new StatisticsSet([hessian]), log);
        using var rtn = new Rtn(new() { Bits = 3 }).Apply(Layers.View(w), StatisticsSet.Empty, new SiteLog());
        Assert.Equal(rtn.Quantized!.Codes, result.Quantized!.Codes);
        Assert.Equal(Rung.RoundToNearest, log.Rung);
        Assert.Contains(log.Notes, n => n.Contains("rounded to the nearest", StringComparison.Ordinal));
    }

    /// <summary>Least <c>eᵀHe</c> over all errors of columns after <paramref name="last"/>: the Schur complement, in double.</summary>
    private static double FreeCost(Matrix<double> h, double[] error, int last)
    {
        var fixedPart = last + 1;
        var rest = h.RowCount - fixedPart;
        var e = Vector<double>.Build.Dense(error[..fixedPart]);
        var complement = h.SubMatrix(0, fixedPart, 0, fixedPart);
        if (rest > 0)
        {
            var cross = h.SubMatrix(0, fixedPart, fixedPart, rest);
            complement -= cross * h.SubMatrix(fixedPart, rest, fixedPart, rest).Inverse() * cross.Transpose();
        }
        return e * complement * e;
    }
}
