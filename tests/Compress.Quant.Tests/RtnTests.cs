using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Numerics;
using Compress.Core.Statistics;
using Compress.Quant.Grids;
using Compress.Quant.Methods;
using static TorchSharp.torch;

namespace Compress.Quant.Tests;

public class RtnTests
{
    public static TheoryData<AffineFlavour, bool> Flavours => new()
    {
        { AffineFlavour.Gptq, false },
        { AffineFlavour.Gptq, true },
        { AffineFlavour.Absmax, true },
        { AffineFlavour.CompressedTensors, false },
        { AffineFlavour.CompressedTensors, true },
        { AffineFlavour.Awq, false },
    };

    [Theory]
    [MemberData(nameof(Flavours))]
    public void Codes_are_those_of_the_formula(AffineFlavour flavour, bool symmetric)
    {
        using var scope = NewDisposeScope();
        // One part of the weights lies wholly above zero: flavours differ there.
        var w = randn(37, 75, generator: new Generator(1)) * 0.03;
        w[.., ..16] = w[.., ..16].abs() + 0.05;
        foreach (var bits in Enumerable.Range(2, 7))
        {
            foreach (var (groupSize, scaleType) in new[] { (16, ScaleType.F16), (-1, ScaleType.F32), (32, ScaleType.BF16), (128, ScaleType.F16) })
            {
                var options = new Rtn.Options { Bits = bits, GroupSize = groupSize, Symmetric = symmetric, Flavour = flavour, ScaleType = scaleType };
                Check(w, options);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Flavours))]
    public void Shrinking_finds_the_range_with_the_least_error(AffineFlavour flavour, bool symmetric)
    {
        using var scope = NewDisposeScope();
        var w = randn(9, 70, generator: new Generator(2)).pow(3) * 0.01;
        foreach (var bits in new[] { 2, 3, 4 })
            Check(w, new Rtn.Options { Bits = bits, GroupSize = 32, Symmetric = symmetric, Flavour = flavour, Mse = true, ScaleType = ScaleType.F32 });
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void One_scale_for_the_whole_matrix(bool mse)
    {
        using var scope = NewDisposeScope();
        var w = randn(150, 20, generator: new Generator(3)) * 0.02;
        var options = new Rtn.Options { Bits = 3, GroupSize = -1, PerTensor = true, Mse = mse };
        using var result = new Rtn(options).Apply(Layers.View(w), StatisticsSet.Empty, new SiteLog());
        var (scale, zero, codes) = PlainRtn.Group(w.data<float>().ToArray(), options);
        Assert.All(result.Quantized!.Scales, s => Assert.Equal(scale, s));
        Assert.All(result.Quantized.Zeros, z => Assert.Equal(zero, z));
        Assert.Equal(codes.Select(c => (byte)c), result.Quantized.Codes);
    }

    [Fact]
    public void Half_way_goes_to_the_even_code()
    {
        using var scope = NewDisposeScope();
        // Scale 1: the range is 0 … 15.
        using var w = tensor(new float[,] { { 15, 0.5f, 1.5f, 2.5f, 3.5f, 0, 7.5f, 8.5f } });
        using var result = new Rtn(new() { GroupSize = -1 }).Apply(Layers.View(w), StatisticsSet.Empty, new SiteLog());
        Assert.Equal([15, 0, 2, 2, 4, 0, 8, 8], result.Quantized!.Codes);
    }

    [Theory]
    [MemberData(nameof(Flavours))]
    public void Removed_weights_decode_to_exactly_zero(AffineFlavour flavour, bool symmetric)
    {
        using var scope = NewDisposeScope();
        var w = randn(40, 96, generator: new Generator(4)).abs() + 0.1;
        var mask = rand(40, 96, generator: new Generator(5)) > 0.5;
        foreach (var dense in new[] { true, false })
        {
            using var result = new Rtn(new() { Bits = 3, GroupSize = 32, Symmetric = symmetric, Flavour = flavour }).Apply(
                Layers.View(dense ? w : w * mask, mask), StatisticsSet.Empty, new SiteLog());
            Assert.Equal(0, (result.Weight * mask.logical_not()).abs().max().item<float>());
        }
    }

    [Fact]
    public void Extreme_groups_have_finite_positive_scales()
    {
        using var scope = NewDisposeScope();
        var w = tensor(new float[,] { { 0, 0, 0 }, { 1e-30f, -1e-30f, 0 }, { 3e38f, -3e38f, 1 }, { 1e-8f, 5e-8f, 0 }, { -2, -1, -3 } });
        foreach (var (flavour, symmetric) in Flavours.Select(row => ((AffineFlavour)row[0], (bool)row[1])))
        {
            foreach (var type in Enum.GetValues<ScaleType>())
            {
                using var result = new Rtn(new() { Flavour = flavour, Symmetric = symmetric, ScaleType = type, GroupSize = -1 })
                    .Apply(Layers.View(w), StatisticsSet.Empty, new SiteLog());
                Assert.All(result.Quantized!.Scales, s => Assert.True(s > 0 && float.IsFinite(s)));
                Assert.All(result.Quantized.Zeros, z => Assert.InRange(z, 0, 15));
                Assert.Equal(0, result.Weight[0].abs().max().item<float>());
            }
        }
    }

    [Theory]
    [InlineData(AffineFlavour.Absmax, false, 128, false, "symmetric: true")]
    [InlineData(AffineFlavour.Awq, true, 128, false, "remove symmetric")]
    [InlineData(AffineFlavour.Gptq, false, 0, false, "group_size")]
    [InlineData(AffineFlavour.Gptq, false, 128, true, "group_size: -1")]
    [InlineData(AffineFlavour.Gptq, false, -1, true, null)]
    [InlineData(AffineFlavour.Gptq, false, 100, false, null)]
    public void Options_that_do_not_fit_are_named(AffineFlavour flavour, bool symmetric, int groupSize, bool perTensor, string? expected)
    {
        var method = new Rtn(new() { Flavour = flavour, Symmetric = symmetric, GroupSize = groupSize, PerTensor = perTensor });
        var unfit = method.Unfit(new SiteShape("site", SiteRole.Up, 8, 96));
        if (expected is null) Assert.Null(unfit);
        else Assert.Contains(expected, unfit!, StringComparison.Ordinal);
    }

    private static void Check(Tensor w, Rtn.Options options)
    {
        using var result = new Rtn(options).Apply(Layers.View(w), StatisticsSet.Empty, new SiteLog());
        var q = result.Quantized!;
        using var source = HostMatrix.Of(w);
        for (var r = 0; r < q.Rows; r++)
        {
            for (var g = 0; g < q.Groups; g++)
            {
                var first = g * q.GroupSize;
                var count = Math.Min(q.GroupSize, q.Columns - first);
                var (scale, zero, codes) = PlainRtn.Group(source.Row(r).Slice(first, count).ToArray(), options);
                Assert.Equal((scale, zero), (q.Scales[r * q.Groups + g], q.Zeros[r * q.Groups + g]));
                Assert.Equal(codes.Select(c => (byte)c), q.Codes.AsSpan(r * q.Columns + first, count).ToArray());
            }
        }
    }
}
