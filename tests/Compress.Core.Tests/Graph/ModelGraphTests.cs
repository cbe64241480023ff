using Compress.Core.Graph;
using Compress.Core.Tests.Graph.Naive;
using TorchSharp;

namespace Compress.Core.Tests.Graph;

public class ModelGraphTests
{
    [Fact]
    public void Sequences_longer_than_a_group_of_queries_equal_a_naive_forward()
    {
        var model = LlamaGraphTests.Model("""{"num_hidden_layers": 1}""");
        using var tensors = MemoryTensors.Random(model.Spec, 2);
        using var graph = ModelGraph.Load(tensors, model.Spec, torch.float64, torch.CPU);
        int[] ids = [.. Enumerable.Range(0, 300).Select(i => i * i % 11)];
        using var scope = torch.NewDisposeScope();
        Compare.Logits(NaiveLlama.Logits(new NaiveCheckpoint(model.Config, tensors.Values), ids), graph.Forward(Row(ids)), 1e-12);
    }

    [Fact]
    public void Sequences_of_a_batch_do_not_see_each_other()
    {
        using var graph = Random();
        using var scope = torch.NewDisposeScope();
        var both = torch.tensor(new long[] { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1 }, [2, 6]);
        var together = graph.Forward(both);
        for (var i = 0; i < 2; i++)
        {
            var alone = graph.Forward(both.narrow(0, i, 1));
            Assert.True((together.narrow(0, i, 1) - alone).abs().max().item<float>() < 1e-5);
        }
        Assert.True((together[0] - together[1]).abs().max().item<float>() > 1e-3);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Bf16_stays_close_to_f32(bool masterWeights)
    {
        var model = LlamaGraphTests.Model("{}");
        using var tensors = MemoryTensors.Random(model.Spec, 3);
        using var exact = ModelGraph.Load(tensors, model.Spec, torch.float32, torch.CPU);
        using var rough = ModelGraph.Load(tensors, model.Spec, masterWeights ? torch.float32 : torch.bfloat16, torch.CPU);
        rough.ComputeType = masterWeights ? torch.bfloat16 : null;
        using var scope = torch.NewDisposeScope();
        var expected = exact.Forward(Row([1, 2, 3, 4, 5, 6, 7]));
        var difference = ((rough.Forward(Row([1, 2, 3, 4, 5, 6, 7])) - expected).norm() / expected.norm()).item<float>();
        // bf16 keeps 8 bits: a few parts in a thousand for each of some dozen roundings.
        Assert.InRange(difference, 1e-4, 3e-2);
    }

    [Fact]
    public void Gradients_equal_finite_differences()
    {
        var model = LlamaGraphTests.Model("""{"attention_bias": true}""");
        using var tensors = MemoryTensors.Random(model.Spec, 4);
        using var graph = ModelGraph.Load(tensors, model.Spec, torch.float64, torch.CPU);
        foreach (var (_, value) in graph.NamedParameters) value.requires_grad = true;
        using (torch.NewDisposeScope()) Loss(graph).backward();
        var random = new Random(5);
        foreach (var (name, value) in graph.NamedParameters)
        {
            using var scope = torch.NewDisposeScope();
            using var _ = torch.no_grad();
            // One direction through all entries of a tensor: a wrong gradient cannot hide in entries that were not probed.
            var direction = torch.from_array(Enumerable.Range(0, (int)value.numel()).Select(_ => random.NextDouble() - 0.5).ToArray())
                .view(value.shape);
            const double Step = 1e-5;
            value.add_(direction * Step);
            var above = Loss(graph).item<double>();
            value.sub_(direction * (2 * Step));
            var below = Loss(graph).item<double>();
            value.add_(direction * Step);
            var numeric = (above - below) / (2 * Step);
            var analytic = (value.grad! * direction).sum().item<double>();
            Assert.True(Math.Abs(numeric - analytic) < 1e-6 * Math.Max(0.01, Math.Abs(analytic)), $"{name}: {numeric} against {analytic}");
        }
    }

    [Fact]
    public void Mixed_precision_gives_f32_gradients_close_to_exact_ones()
    {
        using var exact = Random();
        using var mixed = Random();
        mixed.ComputeType = torch.bfloat16;
        foreach (var graph in (ModelGraph[])[exact, mixed])
        {
            foreach (var (_, value) in graph.NamedParameters) value.requires_grad = true;
            using var scope = torch.NewDisposeScope();
            Loss(graph).backward();
        }
        foreach (var (a, b) in exact.NamedParameters.Zip(mixed.NamedParameters))
        {
            using var scope = torch.NewDisposeScope();
            Assert.Equal(torch.float32, b.Value.grad!.dtype);
            var difference = ((a.Value.grad! - b.Value.grad!).norm() / a.Value.grad!.norm()).item<float>();
            Assert.True(difference < 0.05, $"{a.Name}: {difference}");
        }
    }

    [Fact]
    public void Forward_and_backward_leave_no_tensor_behind()
    {
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (var graph = Random())
        {
            foreach (var (_, value) in graph.NamedParameters) value.requires_grad = true;
            var held = 0L;
            for (var i = 0; i < 3; i++)
            {
                using (torch.NewDisposeScope()) Loss(graph).backward();
                using (torch.NewDisposeScope())
                {
                    using var _ = torch.no_grad();
                    graph.Forward(Row([1, 2, 3]));
                }
                var live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
                // The first pass leaves the tables of its two lengths.
                if (i > 0) Assert.Equal(held, live);
                held = live;
            }
        }
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void Sites_that_share_an_input_show_it_once()
    {
        using var graph = Random();
        var block = graph.Blocks[1];
        var seen = new Recorder();
        using var scope = torch.NewDisposeScope();
        block.Forward(torch.ones(1, 3, 32), seen);
        Assert.Equal(["model.layers.1.attn_in", "model.layers.1.attn_out", "model.layers.1.mlp_in", "model.layers.1.mlp_mid"], seen.Names);
        Assert.Equal([[1, 3, 32], [1, 3, 32], [1, 3, 32], [1, 3, 40]], seen.Shapes);
        Assert.Equal(
            ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
            block.Sites.Select(s => s.Name.Split('.')[^1]));
        Assert.All(block.Sites, s => Assert.Contains(s.InputName, seen.Names));
        Assert.Single(block.Sites.Take(3).Select(s => s.InputName).Distinct());
    }

    [Fact]
    public void A_random_start_is_determined_by_its_seed()
    {
        using var first = Random(7);
        using var second = Random(7);
        using var other = Random(8);
        using var scope = torch.NewDisposeScope();
        foreach (var ((name, a), (_, b)) in first.NamedParameters.Zip(second.NamedParameters))
        {
            Assert.True(a.equal(b).all().item<bool>(), name);
        }
        var q = first.Blocks[0].Sites[0].Weight;
        Assert.False(q.equal(other.Blocks[0].Sites[0].Weight).all().item<bool>());
        Assert.InRange(q.std().item<float>(), 0.018, 0.022);
        // Two blocks, two residual outputs each.
        Assert.InRange(first.Blocks[0].Sites[6].Weight.std().item<float>(), 0.009, 0.011);
        Assert.False(q.equal(first.Blocks[1].Sites[0].Weight).all().item<bool>());
    }

    [Fact]
    public void A_tied_table_is_one_parameter()
    {
        using var tied = Random();
        Assert.DoesNotContain(tied.NamedParameters, p => p.Name == "lm_head.weight");
        Assert.Same(tied.Embedding.Tokens, tied.Head.Site.Weight);
        using var untied = ModelGraph.Random(LlamaGraphTests.Model("""{"tie_word_embeddings": false}""").Spec, 1, torch.float32, torch.CPU);
        Assert.Contains(untied.NamedParameters, p => p.Name == "lm_head.weight");
    }

    [Fact]
    public void A_weight_of_another_shape_is_refused()
    {
        using var graph = Random();
        using var wrong = torch.zeros(3, 3);
        Assert.Throws<ArgumentException>(() => graph.Blocks[0].Sites[0].Weight = wrong);
    }

    internal static torch.Tensor Row(int[] ids) => torch.tensor(ids, torch.int64).unsqueeze(0);

    private static ModelGraph Random(int seed = 1) => ModelGraph.Random(LlamaGraphTests.Model("{}").Spec, seed, torch.float32, torch.CPU);

    private static torch.Tensor Loss(ModelGraph graph) => torch.nn.functional.cross_entropy(
        graph.Forward(Row([1, 2, 3, 4, 5, 6])).view(-1, graph.Spec.VocabularySize),
        torch.tensor(new long[] { 2, 3, 4, 5, 6, 7 }));

    private sealed class Recorder : IInputObserver
    {
        public List<string> Names { get; } = [];

        public List<long[]> Shapes { get; } = [];

        public void OnInput(string inputName, torch.Tensor x)
        {
            Names.Add(inputName);
            Shapes.Add(x.shape);
        }
    }
}
