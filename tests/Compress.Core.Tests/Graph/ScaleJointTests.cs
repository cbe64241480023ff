using System.Text.Json.Nodes;
using Compress.Core.Graph;
using Compress.Formats.Architectures;
using static TorchSharp.torch;

namespace Compress.Core.Tests.Graph;

public class ScaleJointTests
{
    private const string Sizes = "\"hidden_size\": 32, \"intermediate_size\": 24, \"num_hidden_layers\": 2, \"num_attention_heads\": 6, "
        + "\"num_key_value_heads\": 3, \"head_dim\": 8, \"vocab_size\": 11, \"max_position_embeddings\": 16";

    [Theory]
    [InlineData("""{"model_type": "llama"}""", "")]
    [InlineData("""{"model_type": "llama", "attention_bias": true, "mlp_bias": true, "num_key_value_heads": 6}""", "")]
    [InlineData("""{"model_type": "mistral", "sliding_window": 4}""", "")]
    [InlineData("""{"model_type": "qwen2"}""", "")]
    [InlineData("""{"model_type": "qwen3"}""", "")]
    [InlineData("""{"model_type": "gemma2", "sliding_window": 4}""", "")]
    [InlineData("""{"model_type": "phi3"}""", "")]
    [InlineData("""{"model_type": "gpt2", "n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 16}""", "Down: the activation")]
    [InlineData("""{"model_type": "opt", "ffn_dim": 24, "num_attention_heads": 4}""", "")]
    [InlineData("""{"model_type": "opt", "ffn_dim": 24, "num_attention_heads": 4, "do_layer_norm_before": false}""",
        "Query: it reads the residual stream itself; Up: it reads the residual stream itself")]
    [InlineData("""{"model_type": "phi", "num_key_value_heads": 3}""",
        "Query: attention and the MLP read the same norm; Up: attention and the MLP read the same norm; Down: the activation")]
    [InlineData("""{"model_type": "gpt_neox", "num_attention_heads": 4, "use_parallel_residual": true}""", "Down: the activation")]
    public void Moving_scale_changes_no_logits(string config, string obstacles)
    {
        var spec = Model(config);
        using var tensors = MemoryTensors.Random(spec, 3);
        using var original = ModelGraph.Load(tensors, spec, float64, CPU);
        using var folded = ModelGraph.Load(tensors, spec, float64, CPU);
        var joints = folded.Blocks.SelectMany(ScaleJoint.Of).ToList();
        // Every site reads from one joint.
        Assert.Equal(folded.Blocks.SelectMany(b => b.Sites).Select(s => s.Name).Order(), joints.SelectMany(j => j.Readers).Select(s => s.Name).Order());
        Fold(joints, _ => ScalarType.Float64);
        Assert.InRange(Difference(original, folded), 0, 1e-11);
        var met = joints.Take(joints.Count / 2).Where(j => j.Obstacle is not null).Select(j => $"{j.Readers[0].Role.ToString().Replace("Gate", "Up")}: {j.Obstacle}");
        Assert.All(met.Zip(obstacles.Split("; ", StringSplitOptions.RemoveEmptyEntries)), p => Assert.StartsWith(p.Second, p.First, StringComparison.Ordinal));
        Assert.Equal(obstacles.Split("; ", StringSplitOptions.RemoveEmptyEntries).Length, met.Count());
        foreach (var joint in joints.Where(j => j.Obstacle is null)) Assert.True(Moved(original, joint) > 0.01);
    }

    [Theory]
    [InlineData("""{"model_type": "llama"}""", ScalarType.BFloat16, 1e-5)]
    [InlineData("""{"model_type": "gemma2", "sliding_window": 4}""", ScalarType.BFloat16, 1e-5)]
    [InlineData("""{"model_type": "qwen2"}""", ScalarType.Float32, 1e-5)]
    [InlineData("""{"model_type": "gpt2", "n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 16}""", ScalarType.Float32, 1e-5)]
    public void Columns_make_good_the_rounding_of_norms(string config, ScalarType stored, double most)
    {
        var spec = Model(config);
        using var tensors = MemoryTensors.Random(spec, 4);
        using var original = ModelGraph.Load(tensors, spec, float32, CPU);
        using var folded = ModelGraph.Load(tensors, spec, float32, CPU);
        Fold([.. folded.Blocks.SelectMany(ScaleJoint.Of)], name => name.Contains("norm", StringComparison.Ordinal) ? stored : ScalarType.Float32);
        Assert.InRange(Difference(original, folded), 0, most);
        using var scope = NewDisposeScope();
        Assert.All(folded.Blocks, b => Assert.True(b.AttentionNorm!.Weight!.Value.to(stored).to(float32).eq(b.AttentionNorm.Weight.Value).all().item<bool>()));
    }

    [Fact]
    public void A_fold_that_the_norms_type_cannot_hold_is_left_undone()
    {
        var spec = Model("""{"model_type": "llama"}""");
        using var tensors = MemoryTensors.Random(spec, 5);
        using var original = ModelGraph.Load(tensors, spec, float32, CPU);
        using var folded = ModelGraph.Load(tensors, spec, float32, CPU);
        using var tiny = full([32], 1e-7f);
        Assert.Empty(ScaleJoint.Of(folded.Blocks[0])[0].Fold(tiny, _ => ScalarType.Float16));
        Assert.Equal(0, Difference(original, folded));
    }

    private static void Fold(IReadOnlyList<ScaleJoint> joints, Func<string, ScalarType> typeOf)
    {
        var generator = new Generator(7);
        foreach (var joint in joints.Where(j => j.Obstacle is null))
        {
            using var scope = NewDisposeScope();
            var channels = joint.Maker?.Spec.OutFeatures ?? joint.Readers[0].Spec.InFeatures;
            var changed = joint.Fold((randn(channels, generator: generator) * 1.5).exp(), typeOf);
            Assert.Contains(joint.Readers[0].Spec.Weight.Tensor, changed);
        }
    }

    /// <summary>How far a joint's first reader moved.</summary>
    private static double Moved(ModelGraph original, ScaleJoint joint)
    {
        using var scope = NewDisposeScope();
        var before = original.Sites.First(s => s.Name == joint.Readers[0].Name).Weight;
        return ((joint.Readers[0].Weight - before).norm() / before.norm()).item<double>();
    }

    private static double Difference(ModelGraph expected, ModelGraph actual)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var ids = tensor(new long[] { 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8 }).unsqueeze(0);
        var logits = expected.Forward(ids);
        return ((actual.Forward(ids) - logits).abs().max() / logits.abs().max()).to(float64).item<double>();
    }

    private static ModelSpec Model(string changes)
    {
        var config = JsonNode.Parse("{" + Sizes + "}")!.AsObject();
        foreach (var (key, value) in JsonNode.Parse(changes)!.AsObject()) config[key] = value?.DeepClone();
        return SyntheticModel.FromConfig(config).Spec;
    }
}
