using System.Text.Json;
using System.Text.Json.Nodes;
using Compress.Core.Graph;
using Compress.Core.Tests.Graph.Naive;
using Compress.Formats;
using Compress.Formats.Architectures;
using TorchSharp;

namespace Compress.Core.Tests.Graph;

public class CoupledRemovalTests
{
    private const string Sizes = "\"hidden_size\": 32, \"intermediate_size\": 24, \"num_hidden_layers\": 4, \"num_attention_heads\": 6, "
        + "\"num_key_value_heads\": 3, \"head_dim\": 8, \"vocab_size\": 11, \"max_position_embeddings\": 16";

    private static readonly Dictionary<string, string> Families = new()
    {
        ["llama"] = """{"model_type": "llama", "attention_bias": true, "mlp_bias": true, "tie_word_embeddings": true}""",
        ["mistral"] = """{"model_type": "mistral", "sliding_window": 4}""",
        ["qwen2"] = """{"model_type": "qwen2", "use_sliding_window": true, "sliding_window": 3, "max_window_layers": 2}""",
        ["qwen3"] = """{"model_type": "qwen3"}""",
        ["gemma2"] = """{"model_type": "gemma2", "sliding_window": 4, "attn_logit_softcapping": 5.0}""",
        ["gemma3"] = """
            {"model_type": "gemma3_text", "sliding_window": 4, "sliding_window_pattern": 3, "rope_local_base_freq": 50,
             "layer_types": ["sliding_attention", "full_attention", "full_attention", "sliding_attention"]}
            """,
        ["phi"] = """{"model_type": "phi", "num_key_value_heads": 3}""",
        ["phi3"] = """{"model_type": "phi3", "sliding_window": 5}""",
        ["gpt2"] = """
            {"model_type": "gpt2", "n_embd": 32, "n_head": 4, "n_layer": 4, "n_positions": 16, "scale_attn_by_inverse_layer_idx": true}
            """,
        ["gpt_neo"] = """
            {"model_type": "gpt_neo", "num_layers": 4, "num_heads": 4, "attention_types": [[["global", "local"], 2]], "window_size": 3}
            """,
        ["gpt_neox"] = """{"model_type": "gpt_neox", "num_attention_heads": 4, "use_parallel_residual": true}""",
        ["opt"] = """{"model_type": "opt", "ffn_dim": 24, "num_attention_heads": 4}""",
    };

    public static TheoryData<string> Every => [.. Families.Keys];

    public static TheoryData<string> WithRmsNorms => ["llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "phi3"];

    [Theory]
    [MemberData(nameof(Every))]
    public void Heads_channels_sublayers_and_blocks(string family) => Check(family, spec =>
    [
        CoupledGroup.KeyValueHead(0, 1),
        CoupledGroup.KeyValueHead(3, 0), CoupledGroup.KeyValueHead(3, 2),
        .. new[] { 0, 5, 6, 23 }.Select(c => CoupledGroup.MlpChannel(0, c)),
        CoupledGroup.Attention(2),
        CoupledGroup.WholeBlock(1),
        CoupledGroup.Mlp(3),
    ]);

    [Theory]
    [MemberData(nameof(Every))]
    public void One_block(string family) => Check(family, spec => [CoupledGroup.WholeBlock(1)]);

    [Theory]
    [MemberData(nameof(Every))]
    public void The_same_head_and_channel_of_every_block(string family)
    {
        var smaller = Check(family, spec => [.. Enumerable.Range(0, 4).SelectMany(b =>
            new[] { CoupledGroup.KeyValueHead(b, b % 3), CoupledGroup.MlpChannel(b, 3 * b) })]);
        // Blocks stay alike: other programs can read the configuration.
        Assert.False(smaller.Config.ContainsKey(BlockShape.Key));
    }

    [Theory]
    [MemberData(nameof(WithRmsNorms))]
    public void Hidden_dimensions_behind_rms_norms(string family) => Check(family, spec =>
    [
        .. new[] { 0, 3, 4, 17, 30, 31 }.Select(CoupledGroup.HiddenDimension),
        CoupledGroup.MlpChannel(2, 7),
        CoupledGroup.KeyValueHead(1, 1),
    ]);

    [Fact]
    public void Hidden_dimensions_behind_layer_norms_leave_the_norms_to_the_remaining_ones()
    {
        var model = Model("gpt2");
        using var tensors = MemoryTensors.Random(model.Spec, 4);
        using var graph = ModelGraph.Load(tensors, model.Spec, torch.float64, torch.CPU);
        int[] gone = [0, 5, 6, 31];
        var plan = CoupledRemoval.Plan(model.Config, model.Spec, gone.Select(CoupledGroup.HiddenDimension));
        using var smaller = plan.Apply(graph);
        int[] ids = [3, 1, 4, 1, 5, 9, 2, 6];
        model.Config["layer_norm_epsilon"] = 1e-5;
        var expected = NaiveGpt.Gpt2Logits(
            new NaiveCheckpoint(model.Config, tensors.Values), ids, "transformer.", [.. Enumerable.Range(0, 32).Except(gone)]);
        using var scope = torch.NewDisposeScope();
        Compare.Logits(expected, smaller.Forward(ModelGraphTests.Row(ids)), 1e-11);
    }

    [Fact]
    public void A_cut_model_can_be_cut_again()
    {
        var first = Model("gemma3");
        using var tensors = MemoryTensors.Random(first.Spec, 5);
        using var graph = ModelGraph.Load(tensors, first.Spec, torch.float64, torch.CPU);
        var once = CoupledRemoval.Plan(first.Config, first.Spec, [CoupledGroup.WholeBlock(0), CoupledGroup.HiddenDimension(3)]);
        using var middle = once.Apply(graph);
        var twice = CoupledRemoval.Plan(once.Config, once.Spec, [CoupledGroup.WholeBlock(1), CoupledGroup.HiddenDimension(7)]);
        using var last = twice.Apply(middle);
        var direct = CoupledRemoval.Plan(first.Config, first.Spec,
            [CoupledGroup.WholeBlock(0), CoupledGroup.WholeBlock(2), CoupledGroup.HiddenDimension(3), CoupledGroup.HiddenDimension(8)]);
        using var reference = direct.Apply(graph);
        AssertEqualLogits(reference, last);
        // Blocks 1 and 3 of the original: one global, one local.
        Assert.Equal([null, 4], twice.Spec.Blocks.Select(b => b.Attention!.Window));
    }

    [Fact]
    public void Blocks_can_be_cut_one_at_a_time()
    {
        var model = Model("phi3");
        using var tensors = MemoryTensors.Random(model.Spec, 6);
        var plan = CoupledRemoval.Plan(model.Config, model.Spec,
            [CoupledGroup.WholeBlock(1), CoupledGroup.KeyValueHead(2, 0), CoupledGroup.MlpChannel(2, 1)]);
        Assert.Equal([0, 2, 3], plan.KeptBlocks);
        using var graph = ModelGraph.Load(tensors, model.Spec, torch.float64, torch.CPU);
        using var whole = plan.Apply(graph);
        using var old = Block.Load(tensors, model.Spec.Blocks[2], torch.float64, torch.CPU);
        using var block = plan.Apply(old, 1);
        using var scope = torch.NewDisposeScope();
        var hidden = torch.ones([1, 5, 32], torch.float64).cumsum(1);
        Assert.True(whole.Blocks[1].Forward(hidden).equal(block.Forward(hidden)).all().item<bool>());
        Assert.Throws<ArgumentException>(() => plan.Apply(old, 2));
    }

    [Theory]
    [InlineData("llama", GroupKind.MlpChannel, 96)]
    [InlineData("llama", GroupKind.KeyValueHead, 12)]
    [InlineData("llama", GroupKind.HiddenDimension, 32)]
    [InlineData("llama", GroupKind.Attention, 4)]
    [InlineData("llama", GroupKind.Block, 4)]
    [InlineData("gpt2", GroupKind.MlpChannel, 512)]
    public void Groups_are_enumerated(string family, GroupKind kind, int count)
    {
        var spec = Model(family).Spec;
        var groups = CoupledGroups.Of(spec, kind).ToList();
        Assert.Equal(count, groups.Distinct().Count());
        Assert.Equal(count, groups.Count);
        // Together, the groups of a kind cover each of their slices once.
        var slices = groups.SelectMany(g => CoupledGroups.Slices(spec, g)).ToList();
        Assert.Equal(slices.Count, slices.Distinct().Count());
    }

    [Fact]
    public void What_cannot_be_cut_is_refused()
    {
        var llama = Model("llama");
        Refused("all heads would be removed. Remove the attention as a whole",
            llama, [.. Enumerable.Range(0, 3).Select(h => CoupledGroup.KeyValueHead(1, h))]);
        Refused("all channels would be removed", llama, [.. CoupledGroups.Of(llama.Spec, GroupKind.MlpChannel).Where(g => g.Block == 2)]);
        Refused("all blocks would be removed", llama, [.. CoupledGroups.Of(llama.Spec, GroupKind.Block)]);
        Refused("all hidden dimensions", llama, [.. CoupledGroups.Of(llama.Spec, GroupKind.HiddenDimension)]);
        var post = Model("opt", """{"do_layer_norm_before": false}""");
        Refused("whose norm follows the residual sum", post, [CoupledGroup.Mlp(0)]);
        Assert.Throws<ArgumentOutOfRangeException>(() => CoupledRemoval.Plan(llama.Config, llama.Spec, [CoupledGroup.MlpChannel(0, 24)]));
        Assert.Throws<ArgumentOutOfRangeException>(() => CoupledRemoval.Plan(llama.Config, llama.Spec, [CoupledGroup.WholeBlock(4)]));
    }

    private static void Refused(string reason, SyntheticModel model, CoupledGroup[] groups)
    {
        var failure = Assert.Throws<ModelFileException>(() => CoupledRemoval.Plan(model.Config, model.Spec, groups));
        Assert.Contains(reason, failure.Message, StringComparison.Ordinal);
    }

    /// <summary>Cuts, and compares with the masked graph; stores, reads back, and compares again.</summary>
    private static CoupledRemoval Check(string family, Func<ModelSpec, CoupledGroup[]> choose)
    {
        var model = Model(family);
        using var tensors = MemoryTensors.Random(model.Spec, 3);
        using var graph = ModelGraph.Load(tensors, model.Spec, torch.float64, torch.CPU);
        using var untouched = ModelGraph.Load(tensors, model.Spec, torch.float64, torch.CPU);
        var groups = choose(model.Spec);
        var plan = CoupledRemoval.Plan(model.Config, model.Spec, groups);
        using var smaller = plan.Apply(graph);
        CoupledGroups.Mask(graph, groups);
        AssertEqualLogits(graph, smaller);
        Assert.True(Difference(untouched, smaller) > 1e-3, "the cut parts did nothing");
        Assert.True(smaller.NamedParameters.Sum(p => p.Value.numel()) < graph.NamedParameters.Sum(p => p.Value.numel()));
        using var stored = Store(smaller);
        using var document = JsonDocument.Parse(plan.Config.ToJsonString());
        var spec = ArchitectureRegistry.Read(document.RootElement, stored.Tensors, "config.json");
        using var read = ModelGraph.Load(stored, spec, torch.float64, torch.CPU);
        Assert.True(Difference(smaller, read) < 1e-5, "storing and reading back changed the model");
        return plan;
    }

    private static MemoryTensors Store(ModelGraph graph)
    {
        using var scope = torch.NewDisposeScope();
        var stored = new MemoryTensors();
        foreach (var (name, value) in graph.StoredTensors())
        {
            stored.Add(name, [.. value.shape], value.to(torch.float32).contiguous().data<float>().ToArray());
        }
        return stored;
    }

    private static void AssertEqualLogits(ModelGraph expected, ModelGraph actual) =>
        Assert.True(Difference(expected, actual) < 1e-11, $"logits differ by {Difference(expected, actual)}");

    private static double Difference(ModelGraph expected, ModelGraph actual)
    {
        using var scope = torch.NewDisposeScope();
        using var _ = torch.no_grad();
        var ids = torch.tensor(new long[] { 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8 }).unsqueeze(0);
        var logits = expected.Forward(ids);
        return ((actual.Forward(ids) - logits).abs().max() / logits.abs().max()).item<double>();
    }

    private static SyntheticModel Model(string family, string changes = "{}")
    {
        var config = JsonNode.Parse("{" + Sizes + "}")!.AsObject();
        foreach (var (key, value) in JsonNode.Parse(Families[family])!.AsObject().Concat(JsonNode.Parse(changes)!.AsObject()))
        {
            config[key] = value?.DeepClone();
        }
        return SyntheticModel.FromConfig(config);
    }
}
