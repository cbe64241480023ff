using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Numerics;
using Compress.Core.Statistics;
using Compress.Quant.Grids;
using Compress.Quant.Methods;
using static TorchSharp.torch;

namespace Compress.Quant.Tests;

public class AwqTests
{
    private const int Windows = 5, Tokens = 20, Columns = 48;

    [Theory]
    [InlineData(3, false, 1)]
    [InlineData(4, true, 1)]
    [InlineData(3, false, 3)]
    public void The_exponent_is_the_best_of_the_published_grid(int bits, bool symmetric, int queries)
    {
        using var scope = NewDisposeScope();
        var x = Inputs();
        Tensor[] weights = [randn(20, Columns, generator: new Generator(2)) * 0.05, randn(9, Columns, generator: new Generator(3)) * 0.05];
        var options = new Awq.Options { Bits = bits, GroupSize = 20, Symmetric = symmetric };
        var heads = queries > 1 ? new SharedHeads(queries, 4) : null;
        using var view = View(x, weights, heads);
        using var scales = new Awq(options).Scales(view, new SiteLog())!;

        var (expected, exponent) = Search(x, weights, options, queries);
        Assert.InRange(exponent, 1, 19);
        Assert.Equal(Columns / queries, scales.shape[0]);
        foreach (var (e, s) in expected.Zip(scales.data<float>().ToArray())) Assert.InRange(s, e * (1 - 1e-4), e * (1 + 1e-4));
    }

    [Fact]
    public void With_one_exponent_the_channels_stay_and_sites_are_clipped_and_rounded()
    {
        using var scope = NewDisposeScope();
        Tensor[] weights = [randn(20, Columns, generator: new Generator(2)) * 0.05];
        using var view = View(Inputs(), weights, null);
        Assert.Null(new Awq(new() { Bits = 3, GridPoints = 1 }).Scales(view, new SiteLog()));
        using var awq = new Awq(new() { Bits = 3, GroupSize = 16, GridPoints = 1, Clip = false }).Apply(view.Sites[0], StatisticsSet.Empty, new SiteLog());
        using var rtn = new Rtn(new() { Bits = 3, GroupSize = 16, Flavour = AffineFlavour.Awq }).Apply(view.Sites[0], StatisticsSet.Empty, new SiteLog());
        Assert.Equal(rtn.Quantized!.Codes, awq.Quantized!.Codes);
        Assert.Equal(rtn.Quantized.Scales, awq.Quantized.Scales);
    }

    [Theory]
    [InlineData(3, 16)]
    [InlineData(3, 20)]
    [InlineData(4, -1)]
    public void Groups_are_clipped_where_their_part_of_the_dot_products_changes_least(int bits, int groupSize)
    {
        using var scope = NewDisposeScope();
        var x = Inputs().reshape(-1, Columns);
        using var hessian = new Hessian(Columns, CPU);
        hessian.Accumulate(x, Windows);
        var w = randn(40, Columns, generator: new Generator(4)).pow(3) * 0.05;
        var options = new Awq.Options { Bits = bits, GroupSize = groupSize };
        using var result = new Awq(options).Apply(Layers.View(w), new StatisticsSet([hessian]), new SiteLog());
        var (source, inputs) = (Rows(w), Rows(x));
        var size = groupSize == -1 ? Columns : groupSize;
        var grid = Grid(options);
        var (clipped, different) = (0, 0);
        for (var r = 0; r < source.Length; r++)
        {
            for (var first = 0; first < Columns; first += size)
            {
                var group = source[r][first..Math.Min(Columns, first + size)];
                var codes = Clip(group, [.. inputs.Select(t => t[first..(first + group.Length)])], grid, out var step);
                if (step > 0) clipped++;
                if (!codes.Select(c => (byte)c).SequenceEqual(result.Quantized!.Codes.AsSpan(r * Columns + first, group.Length).ToArray())) different++;
            }
        }
        // Two steps may be as good as each other to all digits of f32.
        Assert.InRange(different, 0, 1);
        Assert.True(clipped > 20, $"{clipped} groups clipped");

        // Queries and keys are not clipped.
        var query = Layers.View(w) with { Role = SiteRole.Query };
        using var spared = new Awq(options).Apply(query, new StatisticsSet([hessian]), new SiteLog());
        using var rtn = new Rtn(grid).Apply(query, StatisticsSet.Empty, new SiteLog());
        Assert.Equal(rtn.Quantized!.Codes, spared.Quantized!.Codes);
        Assert.NotEqual(spared.Quantized.Codes, result.Quantized!.Codes);
    }

    [Fact]
    public void Inputs_that_are_no_numbers_leave_the_channels_as_they_are_and_it_is_said()
    {
        using var scope = NewDisposeScope();
        var x = Inputs();
        x[1, 2, 3] = float.NaN;
        using var view = View(x, [randn(20, Columns)], null);
        var log = new SiteLog();
        Assert.Null(new Awq(new() { Bits = 3 }).Scales(view, log));
        Assert.Contains("not finite", Assert.Single(log.Notes), StringComparison.Ordinal);
    }

    private static Tensor Inputs() => randn(Windows, Tokens, Columns, generator: new Generator(1))
        * (0.05 + 6 * rand(Columns, generator: new Generator(5)).pow(6)) + 0.1;

    private static ScaleView View(Tensor x, Tensor[] weights, SharedHeads? heads) => new(
        [.. weights.Select((w, i) => Layers.View(w) with { Name = $"site {i}" })], x, heads, heads is null,
        (part, trial) => cat([.. trial.Select(w => nn.functional.linear(part, w))], -1).tanh());

    private static Rtn.Options Grid(Awq.Options o) => new()
    {
        Bits = o.Bits,
        GroupSize = o.GroupSize,
        Symmetric = o.Symmetric,
        Flavour = o.Symmetric ? AffineFlavour.Absmax : AffineFlavour.Awq,
    };

    private static float[][] Rows(Tensor matrix)
    {
        using var here = HostMatrix.Of(matrix);
        return [.. Enumerable.Range(0, here.Rows).Select(r => here.Row(r).ToArray())];
    }

    /// <summary>The published search, one number after the other, in double.</summary>
    private static (double[] Scales, int Exponent) Search(Tensor x, Tensor[] weights, Awq.Options options, int queries)
    {
        var (inputs, matrices) = (Rows(x.reshape(-1, Columns)), weights.Select(Rows).ToArray());
        // Channel of each input: query heads of four share the channels of their KV head.
        int Channel(int input) => queries == 1 ? input : input / (4 * queries) * 4 + input % 4;
        var means = Enumerable.Range(0, Columns).GroupBy(Channel).OrderBy(g => g.Key)
            .Select(g => g.Average(c => inputs.Average(t => (double)Math.Abs(t[c])))).ToArray();
        var best = (Error: double.PositiveInfinity, Scales: Array.Empty<double>(), Exponent: -1);
        for (var i = 0; i < 20; i++)
        {
            var s = means.Select(m => Math.Max(1e-4, Math.Pow(m, i / 20.0))).ToArray();
            var middle = Math.Sqrt(s.Max() * s.Min());
            s = [.. s.Select(v => v / middle)];
            var error = 0.0;
            foreach (var row in matrices.SelectMany(m => m))
            {
                var scaled = row.Select((w, c) => (float)(w * s[Channel(c)])).ToArray();
                var decoded = new double[Columns];
                for (var first = 0; first < Columns; first += options.GroupSize)
                {
                    var group = scaled[first..Math.Min(Columns, first + options.GroupSize)];
                    var (scale, zero, codes) = PlainRtn.Group(group, Grid(options));
                    for (var k = 0; k < group.Length; k++) decoded[first + k] = (codes[k] - zero) * (double)scale / s[Channel(first + k)];
                }
                foreach (var t in inputs)
                {
                    var difference = Math.Tanh(t.Select((v, c) => v * decoded[c]).Sum()) - Math.Tanh(t.Select((v, c) => (double)v * row[c]).Sum());
                    error += difference * difference;
                }
            }
            if (error < best.Error) best = (error, s, i);
        }
        return (best.Scales, best.Exponent);
    }

    /// <summary>The published clipping of one group on all tokens.</summary>
    private static int[] Clip(float[] w, float[][] inputs, Rtn.Options grid, out int step)
    {
        var greatest = w.Max(Math.Abs);
        var (least, best) = (double.PositiveInfinity, Array.Empty<int>());
        step = 0;
        for (var i = 0; i < 10; i++)
        {
            var limit = (float)(greatest * (1 - i / 20.0));
            var (scale, zero, codes) = PlainRtn.Group([.. w.Select(v => Math.Clamp(v, -limit, limit))], grid);
            var error = inputs.Sum(t =>
            {
                var difference = t.Select((v, k) => v * ((codes[k] - zero) * (double)scale - w[k])).Sum();
                return difference * difference;
            });
            if (error >= least) continue;
            (least, best, step) = (error, codes, i);
        }
        return best;
    }
}
