using Compress.Distill.Tests.Training;
using Compress.Distill.Training;
using Compress.Distill.Weights;
using static TorchSharp.torch;

namespace Compress.Distill.Tests.Weights;

[Collection(TorchTests.Name)]
public sealed class WeightMapTests
{
    public WeightMapTests() => Core.Torch.TorchBackend.EnsureLoaded();

    [Fact]
    public void Gradients_of_adapters_equal_automatic_differentiation()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var (weight, x) = (randn([6, 5], generator: generator), randn([9, 5], generator: generator));
        var mask = rand([6, 5], generator: generator).gt(0.4);
        var start = weight.clone();
        using var adapter = new LowRankAdapter("site", weight, mask, rank: 2, alpha: 3, seed: 4);
        var (a, b) = (adapter.Parameters[0].Value, adapter.Parameters[1].Value);
        b.copy_(randn([6, 2], generator: generator));
        adapter.Update();

        var (aLeaf, bLeaf) = (a.detach().clone().requires_grad_(true), b.detach().clone().requires_grad_(true));
        var composed = start + bLeaf.mm(aLeaf) * 1.5 * mask;
        Assert.True(composed.allclose(weight));
        nn.functional.linear(x, composed).pow(3).sum().backward();
        // Two passes add up, as micro-batches do.
        for (var pass = 0; pass < 2; pass++)
        {
            nn.functional.linear(x, weight).pow(3).sum().backward();
            adapter.PullBack();
        }
        Assert.True(a.grad!.allclose(aLeaf.grad! * 2, 1e-4, 1e-3));
        Assert.True(b.grad!.allclose(bLeaf.grad! * 2, 1e-4, 1e-3));
        Assert.Equal(0, weight.grad!.count_nonzero().item<long>());
    }

    [Fact]
    public void An_adapter_begins_at_the_weight_and_never_touches_what_is_masked()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var mask = rand([16, 12], generator: generator).gt(0.5);
        var weight = randn([16, 12], generator: generator) * mask;
        var start = weight.clone();
        using var adapter = new LowRankAdapter("site", weight, mask, rank: 4, alpha: 8, seed: 1);
        adapter.Update();
        Assert.True(weight.eq(start).all().item<bool>());
        Train(adapter, weight, generator);
        Assert.Equal(0, weight.masked_select(mask.logical_not()).count_nonzero().item<long>());
        Assert.True((weight - start).norm().item<float>() > 0.1);
        // The change has the adapter's rank where nothing hides it.
        using var free = randn([16, 12], generator: generator);
        var before = free.clone();
        using var unmasked = new LowRankAdapter("site", free, null, rank: 4, alpha: 8, seed: 1);
        Train(unmasked, free, generator);
        Assert.Equal(4, linalg.matrix_rank((free - before).detach(), atol: 1e-4, rtol: 1e-4).item<long>());
    }

    [Fact]
    public void Masked_weights_stay_zero_to_the_bit_under_decay_and_momentum()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var mask = rand([16, 12], generator: generator).gt(0.5);
        var weight = (randn([16, 12], generator: generator) * mask).detach();
        using var map = new FreeWeight("weight", weight, decays: true, mask);
        Train(map, weight, generator);
        var gone = weight.detach().masked_select(mask.logical_not()).data<float>().ToArray();
        Assert.All(gone, v => Assert.Equal(0u, BitConverter.SingleToUInt32Bits(v) & 0x7fffffff));
        Assert.True(gone.Length > 50);
    }

    static void Train(IWeightMap map, Tensor weight, Generator generator)
    {
        using var optimizer = new AdamW(map.Parameters, new OptimizationRecipe { WeightDecay = 0.1 });
        for (var step = 0; step < 12; step++)
        {
            using var scope = NewDisposeScope();
            var x = randn([8, weight.shape[1]], generator: generator);
            (nn.functional.linear(x, weight) - 1).square().mean().backward();
            map.PullBack();
            optimizer.CollectGradients();
            optimizer.Step(0.05, 1);
            map.Update();
        }
    }
}
