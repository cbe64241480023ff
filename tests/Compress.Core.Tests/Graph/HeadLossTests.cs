using Compress.Core.Graph;
using Compress.Formats.Architectures;
using TorchSharp;

namespace Compress.Core.Tests.Graph;

public class HeadLossTests
{
    [Theory]
    [InlineData(null, false)]
    [InlineData(3.0, false)]
    [InlineData(3.0, true)]
    public void Loss_and_gradients_equal_those_of_all_logits_at_once(double? softCap, bool bias)
    {
        // More positions than one pass holds, some of them left out.
        using var whole = Graph(softCap, bias);
        using var sliced = Graph(softCap, bias);
        using var scope = torch.NewDisposeScope();
        using var generator = new torch.Generator(1);
        var ids = torch.randint(0, 11, [3, 250], torch.int64, generator: generator);
        var targets = torch.randint(0, 11, [3, 250], torch.int64, generator: generator);
        targets.narrow(1, 100, 7).fill_(-100);
        var expected = torch.nn.functional.cross_entropy(whole.Forward(ids).flatten(0, 1), targets.flatten());
        var actual = sliced.CrossEntropy(ids, targets);
        Assert.Equal(expected.item<double>(), actual.item<double>(), 1e-12);
        (expected * 2).backward();
        (actual * 2).backward();
        foreach (var ((name, a), (_, b)) in whole.NamedParameters.Zip(sliced.NamedParameters))
        {
            Assert.True((a.grad! - b.grad!).abs().max().item<double>() < 1e-12, name);
            Assert.True(a.grad!.abs().max().item<double>() > 1e-9, name);
        }
    }

    [Fact]
    public void Without_gradients_it_is_the_same_number()
    {
        using var graph = Graph(null, false);
        using var scope = torch.NewDisposeScope();
        var ids = torch.arange(8, torch.int64).unsqueeze(0);
        var trained = graph.CrossEntropy(ids, ids).item<double>();
        using var _ = torch.no_grad();
        Assert.Equal(trained, graph.CrossEntropy(ids, ids).item<double>(), 1e-13);
    }

    private static ModelGraph Graph(double? softCap, bool bias)
    {
        var spec = LlamaGraphTests.Model("""{"num_hidden_layers": 1}""").Spec;
        spec = spec with { Head = spec.Head with { SoftCap = softCap } };
        if (bias)
        {
            var linear = spec.Head.Linear with { Bias = new WeightPart("lm_head.bias"), Weight = new WeightPart("lm_head.weight") };
            spec = spec with { Head = spec.Head with { Linear = linear, Tied = false } };
        }
        using var tensors = MemoryTensors.Random(spec, 3);
        var graph = ModelGraph.Load(tensors, spec, torch.float64, torch.CPU);
        foreach (var (_, value) in graph.NamedParameters) value.requires_grad = true;
        return graph;
    }
}
