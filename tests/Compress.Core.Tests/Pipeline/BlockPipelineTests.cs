using System.Text.Json.Nodes;
using Compress.Core.Calibration;
using Compress.Core.Graph;
using Compress.Core.Pipeline;
using Compress.Core.Recipes;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using static TorchSharp.torch;

namespace Compress.Core.Tests.Pipeline;

[Collection(nameof(WholeRuns))]
public sealed class BlockPipelineTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    /// <summary>
    /// Independent of the pipeline: the whole model in memory, once as it was and once compressed; a block's inputs come from the
    /// compressed blocks before it, its own weights are still the original's.
    /// </summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_block_is_calibrated_on_what_the_compressed_blocks_before_it_produce(bool sequential)
    {
        PlainWanda.Seen.Clear();
        await tiny.Run(tiny.Recipe(TinyRun.Wanda(sequential)));
        using var model = ModelFolder.Open(tiny.Model);
        using var compressed = Stage(model, tiny.At("run/stages/01-prune-plain_wanda"));
        using var before = ModelGraph.Load(model.Tensors, model.Spec, ScalarType.Float32, CPU);
        using var after = ModelGraph.Load(compressed, model.Spec, ScalarType.Float32, CPU);
        var windows = CalibrationFile.Read(tiny.At("run/calibration.json")).Windows;
        Assert.Equal(5, windows.Count);

        using var scope = NewDisposeScope();
        var hidden = before.Embedding.Forward(tensor([.. windows.SelectMany(w => w.Tokens).Select(t => (long)t)], [5, 24]));
        for (var k = 0; k < before.Blocks.Count; k++)
        {
            var (block, done) = (before.Blocks[k], after.Blocks[k]);
            foreach (var group in block.Sites.GroupBy(s => s.InputName))
            {
                var norms = new InputNorms();
                block.Forward(hidden, norms);
                foreach (var site in group) AssertClose(norms.Of(site.InputName), PlainWanda.Seen[site.Name], site.Name);
                if (!sequential) continue;
                foreach (var site in group) site.Weight = done.Sites.First(s => s.Name == site.Name).Weight.clone();
            }
            hidden = done.Forward(hidden);
        }
    }

    [Fact]
    public async Task Sites_that_share_an_input_see_the_same_statistics_and_half_of_each_row_goes()
    {
        PlainWanda.Seen.Clear();
        var result = await tiny.Run(tiny.Recipe(TinyRun.Wanda()));
        Assert.Equal(21, result.Sites.Count);
        Assert.All(result.Sites, site => Assert.Equal(0.5, site.Zeros));
        Assert.All(result.Sites, site => Assert.InRange(site.OutputError!.Value, 1e-4, 0.5));
        Assert.Equal(PlainWanda.Seen["model.layers.1.self_attn.q_proj"], PlainWanda.Seen["model.layers.1.self_attn.v_proj"]);
        Assert.Equal(PlainWanda.Seen["model.layers.1.mlp.gate_proj"], PlainWanda.Seen["model.layers.1.mlp.up_proj"]);
        Assert.NotEqual(PlainWanda.Seen["model.layers.1.mlp.gate_proj"], PlainWanda.Seen["model.layers.2.mlp.up_proj"]);
    }

    [Fact]
    public async Task Zeros_of_an_earlier_stage_stay_and_codes_are_kept_exactly()
    {
        await tiny.Run(tiny.Recipe(TinyRun.Wanda(), TinyRun.Rtn(keepSparsity: true, groupSize: 20)));
        using var model = ModelFolder.Open(tiny.Model);
        using var pruned = Stage(model, tiny.At("run/stages/01-prune-plain_wanda"));
        using var quantized = Stage(model, tiny.At("run/stages/02-quantize-plain_rtn"), pruned);
        const string Site = "model.layers.2.mlp.down_proj";
        using var scope = NewDisposeScope();
        var sparse = TensorBridge.Load(pruned.Open(Site + ".weight"), ScalarType.Float32);
        var final = TensorBridge.Load(quantized.Open(Site + ".weight"), ScalarType.Float32);
        Assert.Equal(0.5, sparse.eq(0).to(ScalarType.Float32).mean().item<float>());
        Assert.False(sparse.eq(0).logical_and(final.ne(0)).any().item<bool>());
        var encoding = (GroupQuantizedWeight)quantized.ReadEncoded(Site)!;
        Assert.Equal((32, 48, 4, 20, 3), (encoding.Rows, encoding.Columns, encoding.Bits, encoding.GroupSize, encoding.Groups));
        var row = new float[48];
        encoding.DecodeRow(3, row);
        Assert.Equal(row, final[3].data<float>().ToArray());
        Assert.Null(pruned.ReadEncoded(Site));
        Assert.Equal(4, quantized.SchemeOf(Site)!.Bits);
    }

    [Fact]
    public async Task Untouched_tensors_are_the_originals_and_stage_files_hold_only_what_changed()
    {
        var stage = TinyRun.Wanda() with { Targets = ["model.layers.1.*"], Ignore = ["*.mlp.*"] };
        var result = await tiny.Run(tiny.Recipe(stage));
        Assert.Equal(["q", "k", "v", "o"], result.Sites.Select(s => s.Site.Split('.')[^1][..1]));
        Assert.Equal(["block-00001.safetensors"], Directory.GetFiles(tiny.At("run/stages/01-prune-plain_wanda")).Select(Path.GetFileName));
        using var original = SafetensorsFolder.Map(tiny.Model);
        using var exported = SafetensorsFolder.Map(tiny.At("run/hf"));
        var changed = original.Tensors.Keys.Where(name => !SameBytes(original, exported, name));
        Assert.Equal(4, changed.Count());
        Assert.All(changed, name => Assert.Contains("layers.1.self_attn", name, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_method_that_looks_at_weights_alone_needs_no_calibration()
    {
        var recipe = tiny.Recipe(TinyRun.Global(), TinyRun.Rtn(calibrated: false)) with { Calibration = null };
        var result = await tiny.Run(recipe);
        Assert.False(File.Exists(tiny.At("run/calibration.json")));
        var pruned = result.Sites.Where(s => s.Stage == 1).ToList();
        var zeros = pruned.Sum(s => s.Zeros * s.Rows * s.Columns) / pruned.Sum(s => (double)s.Rows * s.Columns);
        Assert.Equal(0.5, zeros, 3);
        Assert.True(pruned.Max(s => s.Zeros) - pruned.Min(s => s.Zeros) > 0.001, "a global threshold gives sites different shares");
        Assert.All(pruned, s => Assert.Null(s.OutputError));
    }

    [Fact]
    public async Task Head_and_token_table_are_compressed_where_a_target_names_them()
    {
        var head = TinyRun.Rtn() with { Targets = ["lm_head"] };
        var table = TinyRun.Rtn(calibrated: false) with { Targets = ["model.embed_tokens"] };
        var result = await tiny.Run(tiny.Recipe(head, table, TinyRun.Wanda()));
        Assert.Equal(["lm_head", "model.embed_tokens"], result.Sites.Take(2).Select(s => s.Site));
        Assert.True(result.Sites[0].OutputError is > 0 and < 0.1);
        Assert.All(result.Sites.Take(2), s => Assert.Equal(4, s.Bits));
    }

    [Fact]
    public async Task A_tied_head_is_never_changed_through_the_token_table()
    {
        using var tied = new TinyRun(tied: true);
        foreach (var target in new[] { "lm_head", "model.embed_tokens" })
        {
            var stage = TinyRun.Rtn(calibrated: false) with { Targets = [target] };
            var failure = await Assert.ThrowsAsync<RecipeException>(() => tied.Run(tied.Recipe(stage)));
            Assert.Contains("one tensor", failure.Message, StringComparison.Ordinal);
        }
        Assert.False(Directory.Exists(tied.At("run")));
    }

    /// <summary>GPT-2 stores q, k and v as columns of one transposed tensor: parts that no stage touched must survive beside those that one did.</summary>
    [Fact]
    public async Task Parts_of_a_fused_transposed_tensor_are_compressed_apart_and_put_back_together()
    {
        var config = new JsonObject
        {
            ["model_type"] = "gpt2",
            ["n_embd"] = 32,
            ["n_layer"] = 2,
            ["n_head"] = 4,
            ["n_positions"] = 64,
            ["vocab_size"] = 300,
            ["activation_function"] = "gelu_new",
            ["layer_norm_epsilon"] = 1e-5,
            ["tie_word_embeddings"] = true,
        };
        using var gpt = new TinyRun(SyntheticModel.FromConfig(config), ElementType.F32);
        var quantizeQuery = TinyRun.Rtn() with { Targets = ["*.c_attn.q"] };
        var pruneKey = TinyRun.Wanda() with { Targets = ["*.c_attn.k", "*.mlp.*"] };
        var result = await gpt.Run(gpt.Recipe(quantizeQuery, pruneKey));
        Assert.Equal(2 + 2 + 4, result.Sites.Count);
        using var model = ModelFolder.Open(gpt.Model);
        using var exported = SafetensorsFolder.Map(gpt.At("run/hf"));
        using var first = Stage(model, gpt.At("run/stages/01-quantize-plain_rtn"));
        var name = exported.Tensors.Keys.Single(n => n.EndsWith("h.1.attn.c_attn.weight", StringComparison.Ordinal));
        using var scope = NewDisposeScope();
        var before = TensorBridge.Load(model.Tensors.Open(name)).t();
        var after = TensorBridge.Load(exported.Open(name)).t();
        Assert.Equal([96, 32], after.shape);
        var codes = (GroupQuantizedWeight)first.ReadEncoded(name[..^".weight".Length] + ".q")!;
        var decoded = new float[32 * 32];
        codes.Decode(decoded);
        Assert.Equal(decoded, after[TensorIndex.Slice(0, 32)].contiguous().data<float>().ToArray());
        var key = after[TensorIndex.Slice(32, 64)];
        Assert.Equal(0.5, key.eq(0).to(ScalarType.Float32).mean().item<float>());
        Assert.True(key.eq(before[TensorIndex.Slice(32, 64)]).logical_or(key.eq(0)).all().item<bool>());
        Assert.True(after[TensorIndex.Slice(64, 96)].eq(before[TensorIndex.Slice(64, 96)]).all().item<bool>());
    }

    [Fact]
    public async Task No_tensor_outlives_a_run()
    {
        await tiny.Run(tiny.Recipe(TinyRun.Wanda(sequential: true), TinyRun.Rtn()), "first");
        // What earlier tests left to the garbage collector must not go while this one counts.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        var before = Tensor.TotalCount;
        await tiny.Run(tiny.Recipe(TinyRun.Wanda(sequential: true), TinyRun.Rtn()), "second");
        Assert.Equal(before, Tensor.TotalCount);
    }

    private static StageCheckpoint Stage(ModelFolder model, string folder, ITensorSource? below = null)
    {
        var result = new StageCheckpoint(below ?? model.Tensors, model.Spec);
        foreach (var file in Directory.GetFiles(folder)) result.Add(file);
        return result;
    }

    private static bool SameBytes(SafetensorsFolder a, SafetensorsFolder b, string name)
    {
        var (x, y) = (a.Open(name), b.Open(name));
        return x.Info.ByteCount == y.Info.ByteCount
            && x.Bytes(0, (int)x.Info.ByteCount).SequenceEqual(y.Bytes(0, (int)y.Info.ByteCount));
    }

    private static void AssertClose(double[] expected, float[] actual, string site)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
            Assert.True(Math.Abs(expected[i] - actual[i]) <= 1e-4 * Math.Abs(expected[i]) + 1e-7, $"{site}[{i}]: {expected[i]} against {actual[i]}");
    }

    /// <summary>Mean over sequences of each input's squared norm, in double, by plain loops.</summary>
    private sealed class InputNorms : IInputObserver
    {
        private readonly Dictionary<string, double[]> sums = [];
        private long sequences;

        public void OnInput(string inputName, Tensor x)
        {
            sequences = x.shape[0];
            var width = (int)x.shape[^1];
            var values = x.to(ScalarType.Float32).reshape(-1).data<float>().ToArray();
            var sum = new double[width];
            for (var i = 0; i < values.Length; i++) sum[i % width] += (double)values[i] * values[i];
            sums[inputName] = sum;
        }

        public double[] Of(string inputName) => [.. sums[inputName].Select(s => s / sequences)];
    }
}
