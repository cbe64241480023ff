using System.Text.Json.Nodes;
using Compress.Core.Graph;
using Compress.Core.Pipeline;
using Compress.Core.Progress;
using Compress.Core.Runs;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using static TorchSharp.torch;

namespace Compress.Core.Tests.Pipeline;

[Collection(nameof(WholeRuns))]
public sealed class BlockScalingTests
{
    private static readonly SyntheticModel Llama =
        SyntheticModel.Llama(hidden: 32, mlp: 48, layers: 3, heads: 4, keyValueHeads: 2, vocabulary: 300, maxPositions: 64, tied: false);

    private static readonly SyntheticModel Gpt2 = SyntheticModel.FromConfig(JsonNode.Parse(
        """{"model_type": "gpt2", "n_embd": 32, "n_head": 4, "n_layer": 3, "n_positions": 64, "vocab_size": 300}""")!.AsObject());

    private static readonly SyntheticModel Qwen2 = SyntheticModel.FromConfig(JsonNode.Parse("""
        {"model_type": "qwen2", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
         "num_key_value_heads": 2, "vocab_size": 300, "max_position_embeddings": 64, "tie_word_embeddings": true}
        """)!.AsObject());

    [Theory]
    [InlineData("llama", ElementType.BF16, 12)]
    [InlineData("qwen2", ElementType.F32, 12)]
    [InlineData("gpt2", ElementType.F32, 9)]
    public async Task A_run_that_only_scales_leaves_the_function_as_it_was(string family, ElementType type, int places)
    {
        PlainScaling.Seen.Clear();
        using var tiny = new TinyRun(family switch { "gpt2" => Gpt2, "qwen2" => Qwen2, _ => Llama }, type);
        var result = await tiny.Run(tiny.Recipe(TinyRun.Scaling()) with { Export = [] });
        Assert.Equal(places, PlainScaling.Seen.Count);
        // A trial with weights that mean the same changes nothing; one with others does.
        Assert.All(PlainScaling.Seen, s => Assert.InRange(s.Scaled, 0, s.Halved * 1e-6));
        Assert.All(result.Sites, s => Assert.Equal(
            s.Role == SiteRole.Down && family == "gpt2" ? "Not scaled: the activation before it does not commute with scales." : "Scaled.", Assert.Single(s.Notes)));
        using var model = ModelFolder.Open(tiny.Model);
        using var stages = Stages(tiny, model);
        Assert.InRange(Difference(model.Tensors, stages, model.Spec), 0, 1e-4);
        // It is another checkpoint all the same: norms and columns moved, the norms in their own type.
        var norm = model.Spec.Blocks[1].AttentionNorm!.Weight!;
        Assert.Equal(type, stages.Tensors[norm].Type);
        Assert.NotEqual(model.Tensors.Open(norm).Bytes(0, 64).ToArray(), stages.Open(norm).Bytes(0, 64).ToArray());
    }

    [Fact]
    public async Task A_place_that_the_stage_selects_in_part_is_left_and_it_is_said()
    {
        PlainScaling.Seen.Clear();
        using var tiny = new TinyRun(Llama, ElementType.F32);
        var result = await tiny.Run(tiny.Recipe(TinyRun.Scaling() with { Ignore = ["*.v_proj"] }) with { Export = [] });
        Assert.Equal(6, PlainScaling.Seen.Count);
        Assert.All(result.Sites.Where(s => s.Role is SiteRole.Query or SiteRole.Output), s => Assert.Contains("leaves " + s.Site[..s.Site.LastIndexOf('.')] + ".v_proj out", Assert.Single(s.Notes), StringComparison.Ordinal));
        using var model = ModelFolder.Open(tiny.Model);
        using var stages = Stages(tiny, model);
        Assert.InRange(Difference(model.Tensors, stages, model.Spec), 0, 1e-4);
    }

    [Fact]
    public async Task A_run_that_was_cut_short_ends_with_the_same_bytes()
    {
        using var tiny = new TinyRun(Llama, ElementType.F16);
        var recipe = tiny.Recipe(TinyRun.Scaling());
        var whole = await tiny.Run(recipe, "whole");
        using var stop = new CancellationTokenSource();
        var watch = new EventList { Also = e => { if (e is PhaseAdvanced { Detail: { } d } && d.StartsWith("model.layers.1.mlp.up", StringComparison.Ordinal)) stop.Cancel(); } };
        await Assert.ThrowsAsync<RunInterruptedException>(() => tiny.Run(recipe, "cut", progress: watch, cancellation: stop.Token));
        var resumed = await tiny.Run(recipe, "cut", resume: true);
        Assert.Equal(whole.Exports[0].Files["model.safetensors"], resumed.Exports[0].Files["model.safetensors"]);
    }

    private static StageCheckpoint Stages(TinyRun tiny, ModelFolder model)
    {
        var result = new StageCheckpoint(model.Tensors, model.Spec);
        foreach (var part in Directory.GetFiles(tiny.At("run/stages/01-quantize-plain_scaling"), "*.safetensors").Order(StringComparer.Ordinal)) result.Add(part);
        return result;
    }

    private static double Difference(ITensorSource expected, ITensorSource actual, ModelSpec spec)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var before = ModelGraph.Load(expected, spec, ScalarType.Float32, CPU);
        using var after = ModelGraph.Load(actual, spec, ScalarType.Float32, CPU);
        var ids = tensor(new long[] { 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8 }).unsqueeze(0);
        var logits = before.Forward(ids);
        return ((after.Forward(ids) - logits).abs().max() / logits.abs().max()).to(float64).item<double>();
    }
}
