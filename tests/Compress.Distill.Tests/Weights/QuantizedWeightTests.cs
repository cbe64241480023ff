using Compress.Distill.Tests.Training;
using Compress.Distill.Training;
using Compress.Distill.Weights;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using static TorchSharp.torch;

namespace Compress.Distill.Tests.Weights;

[Collection(TorchTests.Name)]
public sealed class QuantizedWeightTests
{
    public QuantizedWeightTests() => Core.Torch.TorchBackend.EnsureLoaded();

    [Theory]
    [InlineData(0, false)]
    [InlineData(0, true)]
    [InlineData(3, false)]
    public void It_begins_as_it_was_stored(int fraction, bool ordered)
    {
        using var scope = NewDisposeScope();
        var start = Start(fraction, ordered);
        var weight = Decode(start);
        var before = weight.clone();
        using var map = new QuantizedWeight("site", weight, start, null);
        map.Update();
        Assert.True(weight.eq(before).all().item<bool>());
        var stored = map.Encode();
        Assert.Equal(start.Codes, stored.Codes);
        Assert.Equal(start.Scales, stored.Scales);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public void Its_gradients_are_those_of_learned_step_sizes(int fraction)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(4);
        var start = Start(fraction, ordered: false) with { ScaleType = ElementType.F32 };
        var weight = Decode(start);
        using var map = new QuantizedWeight("site", weight, start, null);
        // Latent weights anywhere, some beyond the range; scales away from where they began.
        var (latent, logScale) = (map.Parameters[0].Value, map.Parameters[1].Value);
        latent.add_(randn(latent.shape, generator: generator) * 0.1);
        logScale.add_(randn(logScale.shape, generator: generator) * 0.2);
        map.Update();

        var (theta, log) = (latent.clone().requires_grad_(true), logScale.clone().requires_grad_(true));
        var groups = arange(start.Columns, ScalarType.Int64).div(start.GroupSize, RoundingMode.floor).to(ScalarType.Int64);
        var s = (tensor(start.Scales, [start.Rows, start.Groups]) * log.exp()).index_select(1, groups);
        var z = tensor(start.Zeros.Select(v => v / (float)(1 << fraction)).ToArray(), [start.Rows, start.Groups]).index_select(1, groups);
        var inRange = (theta / s + z).clamp(0, 3);
        var code = inRange + (inRange.round() - inRange).detach();
        var composed = (code - z) * s;
        Assert.True(composed.allclose(weight, 1e-5, 1e-6));
        Assert.True((theta / s + z).lt(0).any().item<bool>(), "nothing is clipped");
        var x = randn([7, start.Columns], generator: generator);
        nn.functional.linear(x, composed).pow(3).sum().backward();
        nn.functional.linear(x, weight).pow(3).sum().backward();
        map.PullBack();
        Assert.True(latent.grad!.allclose(theta.grad!, 1e-3, 1e-4));
        Assert.True(logScale.grad!.allclose(log.grad!, 1e-3, 1e-3));
    }

    [Fact]
    public void Training_changes_codes_and_scales_and_keeps_what_it_holds_storable()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(4);
        var start = Start(0, ordered: true);
        var weight = Decode(start);
        var mask = weight.ne(0);
        using var map = new QuantizedWeight("site", weight, start, mask);
        using var optimizer = new AdamW(map.Parameters, new OptimizationRecipe());
        var (x, wanted) = (randn([40, start.Columns], generator: generator), randn([40, start.Rows], generator: generator) * 0.2);
        var errors = Enumerable.Range(0, 60).Select(_ =>
        {
            using var inner = NewDisposeScope();
            var error = (nn.functional.linear(x, weight) - wanted).square().mean();
            error.backward();
            map.PullBack();
            optimizer.CollectGradients();
            optimizer.Step(0.01, 1);
            map.Update();
            return error.item<float>();
        }).ToList();
        Assert.True(errors[^1] < 0.8 * errors[0], $"{errors[0]} to {errors[^1]}");
        var stored = map.Encode();
        Assert.NotEqual(start.Codes, stored.Codes);
        Assert.All(stored.Scales, v => Assert.Equal(v, (float)(Half)v));
        Assert.True(Decode(stored).eq(weight).all().item<bool>());
        Assert.Equal(0, weight.detach().masked_select(mask.logical_not()).count_nonzero().item<long>());
    }

    static Tensor Decode(GroupQuantizedWeight weight)
    {
        var values = new float[weight.Rows * weight.Columns];
        for (var r = 0; r < weight.Rows; r++) weight.DecodeRow(r, values.AsSpan(r * weight.Columns, weight.Columns));
        return tensor(values, [weight.Rows, weight.Columns]);
    }

    /// <summary>Two bits, groups of four columns with a short one at the end.</summary>
    static GroupQuantizedWeight Start(int fraction, bool ordered)
    {
        const int Rows = 6, Columns = 10, Groups = 3;
        var random = new Random(2);
        return new GroupQuantizedWeight
        {
            Rows = Rows,
            Columns = Columns,
            Bits = 2,
            GroupSize = 4,
            Symmetric = false,
            Codes = [.. Enumerable.Range(0, Rows * Columns).Select(_ => (byte)random.Next(4))],
            Scales = [.. Enumerable.Range(0, Rows * Groups).Select(_ => (float)(Half)(0.05 + 0.05 * random.NextDouble()))],
            Zeros = [.. Enumerable.Range(0, Rows * Groups).Select(_ => random.Next(1 << fraction, 3 << fraction))],
            ZeroFraction = fraction,
            ScaleType = ElementType.F16,
            GroupIndex = ordered ? [2, 0, 1, 1, 0, 0, 2, 1, 0, 1] : null,
        };
    }
}
