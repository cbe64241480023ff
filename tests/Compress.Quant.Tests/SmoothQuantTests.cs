using Compress.Core.Methods;
using Compress.Core.Statistics;
using Compress.Quant.Grids;
using Compress.Quant.Methods;
using static TorchSharp.torch;

namespace Compress.Quant.Tests;

public class SmoothQuantTests
{
    [Theory]
    [InlineData(0.5)]
    [InlineData(0.85)]
    [InlineData(0)]
    public void Scales_are_those_of_the_formula(double alpha)
    {
        using var scope = NewDisposeScope();
        var x = randn(3, 10, 24, generator: new Generator(1)) * (5 * rand(24, generator: new Generator(2)).pow(4));
        x[.., .., 5] = 0;
        Tensor[] weights = [randn(7, 24, generator: new Generator(3)) * 0.05, randn(11, 24, generator: new Generator(4)) * 0.02];
        weights[0][.., 6] = 0;
        weights[1][.., 6] = 0;
        using var view = View(x, weights, behindNorm: true);
        var scales = new SmoothQuant(new() { Alpha = alpha }).Scales(view, new SiteLog())!.data<float>().ToArray();
        for (var j = 0; j < 24; j++)
        {
            var peak = x[.., .., j].abs().max().item<float>();
            var weight = weights.Max(w => w[.., j].abs().max().item<float>());
            var expected = Math.Max(1e-5, Math.Pow(Math.Max(1e-5, peak), alpha) / Math.Pow(Math.Max(1e-5, weight), 1 - alpha));
            Assert.InRange(scales[j], expected * (1 - 1e-5), expected * (1 + 1e-5));
        }
        using var other = View(x, weights, behindNorm: false);
        Assert.Null(new SmoothQuant(new()).Scales(other, new SiteLog()));
        x[0, 0, 0] = float.PositiveInfinity;
        var log = new SiteLog();
        using var bad = View(x, weights, behindNorm: true);
        Assert.Null(new SmoothQuant(new() { Alpha = 1 }).Scales(bad, log));
        Assert.Contains("not finite", Assert.Single(log.Notes), StringComparison.Ordinal);
    }

    [Fact]
    public void Weights_are_rounded_symmetrically_a_scale_a_row()
    {
        using var scope = NewDisposeScope();
        var site = Layers.View(randn(9, 40, generator: new Generator(5)) * 0.03);
        using var smooth = new SmoothQuant(new()).Apply(site, StatisticsSet.Empty, new SiteLog());
        using var rtn = new Rtn(new() { Bits = 8, GroupSize = -1, Symmetric = true, Flavour = AffineFlavour.Absmax }).Apply(site, StatisticsSet.Empty, new SiteLog());
        Assert.Equal(rtn.Quantized!.Codes, smooth.Quantized!.Codes);
        Assert.Equal(9, smooth.Quantized.Scales.Length);
    }

    private static ScaleView View(Tensor x, Tensor[] weights, bool behindNorm) =>
        new([.. weights.Select(w => Layers.View(w))], x, null, behindNorm, (_, _) => throw new InvalidOperationException("not tried"));
}
