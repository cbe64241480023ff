using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Numerics;
using Compress.Core.Statistics;
using Compress.Formats.Encodings;
using Compress.Quant.Methods;
using static TorchSharp.torch;

namespace Compress.Quant.Tests;

public class HqqTests
{
    [Theory]
    [InlineData(2, 32, false)]
    [InlineData(3, 64, false)]
    [InlineData(4, 48, true)]
    [InlineData(4, -1, false)]
    [InlineData(8, 16, false)]
    public void Codes_scales_and_zeros_are_those_of_the_plain_loop(int bits, int groupSize, bool roundZero)
    {
        using var scope = NewDisposeScope();
        var w = randn(15, 150, generator: new Generator(1)) * 0.05;
        w[2] = zeros(150);
        w[3] = ones(150) * 0.3;
        w[4] = ones(150) * -0.3;
        w[5, 7] = 50;
        w[6, 140] = -50;
        w[7] = w[7].abs() + 1;
        w[8] *= 1e-9;
        w[9] *= 1e7;
        // Errors above and below what the shrinkage cuts.
        w[10] *= 40;
        foreach (var (norm, beta, growth, iterations) in new[] { (0.7, 10.0, 1.01, 20), (1.0, 100.0, 1.5, 5), (0.3, 30.0, 1.01, 20), (0.7, 10, 1, 0) })
        {
            Check(w, new Hqq.Options
            {
                Bits = bits,
                GroupSize = groupSize,
                RoundZero = roundZero,
                Norm = norm,
                Beta = beta,
                Growth = growth,
                Iterations = iterations,
            });
        }
    }

    [Fact]
    public void The_fit_lowers_the_error_and_a_fraction_lowers_it_further()
    {
        using var scope = NewDisposeScope();
        var w = randn(64, 256, generator: new Generator(2)) * 0.05;
        double Error(ILinearMethod method)
        {
            using var result = method.Apply(Layers.View(w), StatisticsSet.Empty, new SiteLog());
            return (result.Weight - w).square().sum().item<float>();
        }
        foreach (var bits in new[] { 2, 3, 4 })
        {
            var rtn = Error(new Rtn(new() { Bits = bits, GroupSize = 64 }));
            var start = Error(new Hqq(new() { Bits = bits, Iterations = 0 }));
            var fitted = Error(new Hqq(new() { Bits = bits }));
            Assert.InRange(fitted, 0, start * 0.999);
            Assert.InRange(fitted, 0, rtn * 0.98);
            Assert.InRange(fitted, 0, Error(new Hqq(new() { Bits = bits, RoundZero = true })));
        }
    }

    [Fact]
    public void Removed_weights_decode_to_zero_and_do_not_count()
    {
        using var scope = NewDisposeScope();
        var w = randn(10, 96, generator: new Generator(4)) * 0.05 + 0.02;
        var mask = rand(10, 96, generator: new Generator(5)) > 0.5;
        var options = new Hqq.Options { Bits = 3, GroupSize = 32 };
        using var result = new Hqq(options).Apply(Layers.View(w, mask), StatisticsSet.Empty, new SiteLog());
        Assert.Equal(0, result.Quantized!.ZeroFraction);
        Assert.Equal(0, (result.Weight * mask.logical_not()).abs().max().item<float>());
        using var rtn = new Rtn(new() { Bits = 3, GroupSize = 32 }).Apply(Layers.View(w, mask), StatisticsSet.Empty, new SiteLog());
        Assert.True(((result.Weight - w) * mask).abs().sum().item<float>() <= ((rtn.Weight - w) * mask).abs().sum().item<float>());
    }

    [Fact]
    public void What_other_programs_cannot_hold_is_said_beforehand()
    {
        var site = new SiteShape("site", SiteRole.Up, 8, 128);
        Assert.Contains("whole zero points", CompressedTensors.Unfit(128, new Hqq(new()).Outlook(site).Encoding!), StringComparison.Ordinal);
        Assert.Null(CompressedTensors.Unfit(128, new Hqq(new() { RoundZero = true }).Outlook(site).Encoding!));
        Assert.Contains("group_size", new Hqq(new() { GroupSize = 0 }).Unfit(site), StringComparison.Ordinal);
    }

    private static void Check(Tensor w, Hqq.Options options)
    {
        using var result = new Hqq(options).Apply(Layers.View(w), StatisticsSet.Empty, new SiteLog());
        var q = result.Quantized!;
        using var source = HostMatrix.Of(w);
        for (var r = 0; r < q.Rows; r++)
        {
            for (var g = 0; g < q.Groups; g++)
            {
                var first = g * q.GroupSize;
                var values = source.Row(r).Slice(first, Math.Min(q.GroupSize, q.Columns - first)).ToArray();
                var (scale, zero, codes) = Plain(values, options);
                Assert.Equal(scale, q.Scales[r * q.Groups + g]);
                Assert.Equal(zero, q.Zeros[r * q.Groups + g] / Math.Pow(2, q.ZeroFraction));
                Assert.Equal(codes, q.Codes.AsSpan(r * q.Columns + first, values.Length).ToArray().Select(c => (int)c));
            }
        }
    }

    /// <summary>The published steps on one group, one after the other, over whole vectors.</summary>
    private static (float Scale, double Zero, int[] Codes) Plain(float[] w, Hqq.Options o)
    {
        var maxq = (1 << o.Bits) - 1;
        var units = o.RoundZero ? 1 : Math.Pow(2, 8 - o.Bits);
        var (min, max) = (Math.Min(0, w.Min()), Math.Max(0, w.Max()));
        if (min == max) return ((float)(Half)(2f / maxq), Math.Round(1 / (double)(float)(Half)(2f / maxq)), [.. w.Select(_ => (int)Math.Round(1 / (double)(float)(Half)(2f / maxq)))]);
        var scale = Math.Clamp((float)(Half)((max - min) / maxq), (float)Half.Epsilon, (float)Half.MaxValue);
        double Grid(double z) => Math.Clamp(Math.Round(z * units), 0, maxq * units) / units;
        int[] Codes(double z) => [.. w.Select(v => (int)Math.Clamp(Math.Round(v / (double)scale + z), 0, maxq))];
        double Shrink(double x, double beta) => Math.Sign(x) * Math.Max(0, Math.Abs(x) - (x == 0 ? 0 : Math.Pow(Math.Abs(x), o.Norm - 1) / beta));
        var zero = Grid(-min / (double)scale);
        var (best, bestError, b) = (zero, double.MaxValue, o.Beta);
        for (var i = 0; i < o.Iterations + 1; i++)
        {
            var codes = Codes(zero);
            var residual = w.Zip(codes, (v, q) => v - (q - zero) * scale).ToArray();
            var error = residual.Sum(Math.Abs);
            if (error >= bestError) break;
            (best, bestError) = (zero, error);
            var shrunk = residual.Select(x => Shrink(x, b)).ToArray();
            zero = Grid(Enumerable.Range(0, w.Length).Average(k => codes[k] - (w[k] - shrunk[k]) / scale));
            b *= o.Growth;
        }
        return (scale, best, Codes(best));
    }
}
