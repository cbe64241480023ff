using Compress.Core.Graph;
using Compress.Distill.Training;
using Compress.Formats.Architectures;
using static TorchSharp.torch;

namespace Compress.Distill.Tests.Training;

[Collection(TorchTests.Name)]
public sealed class GraphTrainableTests
{
    static readonly ModelSpec Spec = SyntheticModel.Llama(hidden: 16, mlp: 32, layers: 2, heads: 4, keyValueHeads: 2, vocabulary: 40, maxPositions: 64).Spec;

    public GraphTrainableTests() => Core.Torch.TorchBackend.EnsureLoaded();

    [Fact]
    public void Loss_and_gradients_equal_automatic_differentiation_of_the_whole()
    {
        using var scope = NewDisposeScope();
        using var graph = ModelGraph.Random(Spec, 1, float32, CPU);
        var trainable = new GraphTrainable(graph);
        using var generator = new Generator(5);
        // 7 × 45 rows: one full chunk of the head and a short one.
        var tokens = randint(0, 40, [7, 46], int64, generator: generator);

        var loss = trainable.Backward(tokens, 0.5);
        var ours = trainable.Parameters.Select(p => p.Value.grad!.clone()).ToList();
        foreach (var parameter in trainable.Parameters) parameter.Value.grad!.zero_();
        var expected = nn.functional.cross_entropy(
            graph.Forward(tokens.narrow(1, 0, 45)).reshape(-1, 40), tokens.narrow(1, 1, 45).reshape(-1));
        (expected * 0.5).backward();

        Assert.Equal(expected.item<float>(), loss, 5);
        for (var i = 0; i < ours.Count; i++)
        {
            var reference = trainable.Parameters[i].Value.grad!;
            var error = (ours[i] - reference).norm().item<float>() / reference.norm().item<float>();
            Assert.True(error < 1e-4, $"{trainable.Parameters[i].Name}: {error}");
        }
    }

    [Fact]
    public void Matrices_decay_and_tables_and_norms_do_not()
    {
        using var graph = ModelGraph.Random(Spec, 1, float32, CPU);
        var decays = new GraphTrainable(graph).Parameters.ToDictionary(p => p.Name, p => p.Decays);
        Assert.False(decays["model.embed_tokens.weight"]);
        Assert.False(decays["model.norm.weight"]);
        Assert.False(decays["model.layers.1.input_layernorm.weight"]);
        Assert.True(decays["model.layers.0.self_attn.k_proj.weight"]);
        Assert.Equal(2 * 7, decays.Values.Count(d => d));
    }

    [Fact]
    public void A_step_in_bf16_is_close_to_one_in_single_precision()
    {
        double[] losses = [.. new[] { float32, bfloat16 }.Select(type =>
        {
            using var graph = ModelGraph.Random(Spec, 1, type, CPU);
            var trainable = new GraphTrainable(graph);
            using var optimizer = new AdamW(trainable.Parameters, new OptimizationRecipe());
            using var tokens = arange(66, int64).remainder(40).view(3, 22);
            var loss = 0.0;
            for (var step = 0; step < 20; step++)
            {
                loss = trainable.Backward(tokens, 1);
                optimizer.CollectGradients();
                optimizer.Step(0.01, 1);
            }
            return loss;
        })];
        Assert.True(losses[0] < 1.5, $"{losses[0]}");
        Assert.InRange(losses[1], losses[0] * 0.8, losses[0] * 1.2);
    }
}
