using System.Runtime.InteropServices;
using Compress.Core.Calibration;
using Compress.Core.Graph;
using Compress.Core.Runs;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Runtime.Model;
using Compress.Testing;
using MathNet.Numerics.LinearAlgebra;
using TorchSharp;

namespace Compress.Integration.Tests;

/// <summary>Runs that remove heads, channels, sublayers and blocks, against plain implementations and the masked original.</summary>
public sealed class StructuredTests : IDisposable
{
    private const string Calibration = "samples: 6, length: 64, batch_size: 2";

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("flap, ratio: 0.3, compensate: none, channels_multiple_of: 1")]
    [InlineData("flap, ratio: 0.5, structure: al_mm, compensate: none")]
    [InlineData("wanda_sp, ratio: 0.5")]
    [InlineData("magnitude_sp, ratio: 0.5, ignore: [\"model.layers.1.*\"]")]
    [InlineData("shortgpt, remove: 2")]
    [InlineData("shortgpt, remove: 1, unit: attention")]
    [InlineData("sleb, remove: 1, unit: mlp")]
    public async Task The_smaller_model_computes_what_the_masked_one_does(string method)
    {
        var result = await Run(method);
        using var scope = torch.NewDisposeScope();
        using var _ = torch.no_grad();
        using var original = ModelFolder.Open(TestModel.Embedded.Path);
        using var smaller = ModelFolder.Open(Assert.Single(result.Exports).Path);
        using var masked = ModelGraph.Load(original.Tensors, original.Spec, torch.float64, torch.CPU);
        using var cut = ModelGraph.Load(smaller.Tensors, smaller.Spec, torch.float64, torch.CPU);
        CoupledGroups.Mask(masked, Choice(result));

        Assert.True(Parameters(smaller) < 0.97 * Parameters(original), "nothing was removed");
        var ids = torch.arange(40, torch.int64).remainder(37).add(300).unsqueeze(0);
        Assert.True(masked.Forward(ids).allclose(cut.Forward(ids), rtol: 1e-9, atol: 1e-9));
    }

    [Theory]
    [InlineData("wifv")]
    [InlineData("ifv")]
    [InlineData("wifn")]
    public async Task Flap_chooses_what_the_formulas_of_the_paper_choose(string metric)
    {
        var result = await Run($"flap, ratio: 0.35, metric: {metric}, compensate: none, channels_multiple_of: 1");
        using var original = ModelFolder.Open(TestModel.Embedded.Path);
        var inputs = Inputs(original, result);
        var rivals = new List<(CoupledGroup Group, double Score, double Parameters)>();
        for (var b = 0; b < original.Spec.Blocks.Length; b++)
        {
            var (attention, mlp) = (original.Spec.Blocks[b].Attention!, original.Spec.Blocks[b].Mlp!);
            var heads = Standardised([.. Scores(original, attention.Output, inputs[$"{original.Spec.Blocks[b].Prefix}.attn_out"], metric).Select(s => s * s)])
                .Chunk(attention.Output.InFeatures / attention.KeyValueHeads).Select(h => h.Average());
            var channels = Standardised(Scores(original, mlp.Down, inputs[$"{original.Spec.Blocks[b].Prefix}.mlp_mid"], metric));
            // Hidden size 256, four query and two KV heads of size 64: 2·64 rows of q, 64 of k and v, 2·64 columns of o.
            rivals.AddRange(heads.Select((s, i) => (CoupledGroup.KeyValueHead(b, i), s, 256.0 * (128 + 64 + 64 + 128))));
            rivals.AddRange(channels.Select((s, i) => (CoupledGroup.MlpChannel(b, i), s, 256.0 * 3)));
        }
        var (sum, total) = (0.0, rivals.Sum(r => r.Parameters));
        var cumulative = rivals.OrderByDescending(r => r.Score).Select(r => (r.Group, Sum: sum += r.Parameters)).ToList();
        var end = cumulative.MinBy(c => Math.Abs(c.Sum - 0.65 * total)).Sum;
        var expected = cumulative.Where(c => c.Sum > end).Select(c => c.Group).ToHashSet();
        for (var b = 0; b < original.Spec.Blocks.Length; b++)
        {
            // The stage leaves one head where the published code would leave none.
            if (expected.Count(g => g.Block == b && g.Kind == GroupKind.KeyValueHead) == 2)
                expected.Remove(rivals.Where(r => r.Group.Block == b && r.Group.Kind == GroupKind.KeyValueHead).MaxBy(r => r.Score).Group);
        }

        var chosen = Choice(result).ToHashSet();
        // f32 sums may swap neighbours at the cut.
        chosen.SymmetricExceptWith(expected);
        Assert.True(chosen.Count <= 2, $"{chosen.Count} of {expected.Count} groups differ");
        Assert.True(expected.Count > 500);
    }

    [Fact]
    public async Task Flaps_bias_is_the_mean_contribution_of_what_was_removed()
    {
        var result = await Run("flap, ratio: 0.4");
        using var original = ModelFolder.Open(TestModel.Embedded.Path);
        using var smaller = ModelFolder.Open(Assert.Single(result.Exports).Path);
        var (inputs, values, biased) = (Inputs(original, result), WandaMaskTests.Values(original), WandaMaskTests.Values(smaller));
        var gone = Choice(result).Where(g => g.Kind == GroupKind.MlpChannel).ToLookup(g => g.Block, g => g.Index);
        for (var b = 0; b < original.Spec.Blocks.Length; b++)
        {
            var down = original.Spec.Blocks[b].Mlp!.Down;
            var (x, w) = (inputs[$"{original.Spec.Blocks[b].Prefix}.mlp_mid"], values[down.Weight.Tensor]);
            Assert.NotEmpty(gone[b]);
            for (var row = 0; row < down.OutFeatures; row += 17)
            {
                var terms = gone[b].Select(j => w[row * down.InFeatures + j] * x.Column(j).Average()).ToList();
                // bf16 keeps eight bits, and f32 sums cancel.
                Assert.Equal(terms.Sum(), biased[down.Name + ".bias"][row], tolerance: Math.Abs(terms.Sum()) / 256 + 1e-5 * terms.Sum(Math.Abs) + 1e-9);
            }
        }
    }

    [Fact]
    public async Task A_refit_comes_as_near_to_the_output_as_a_dense_least_squares_solution()
    {
        var result = await Run("wanda_sp, ratio: 0.5, compensate: least_squares");
        using var original = ModelFolder.Open(TestModel.Embedded.Path);
        using var smaller = ModelFolder.Open(Assert.Single(result.Exports).Path);
        var (values, refitted) = (WandaMaskTests.Values(original), WandaMaskTests.Values(smaller));
        // The first block's attention sees the original's inputs, and no head of it is compared: its down projection sees a smaller attention.
        var down = original.Spec.Blocks[0].Attention!.Output;
        var x = Inputs(original, result)[$"{original.Spec.Blocks[0].Prefix}.attn_out"];
        var gone = Choice(result).Where(g => g is { Kind: GroupKind.KeyValueHead, Block: 0 }).Select(g => g.Index).ToHashSet();
        int[] kept = [.. Enumerable.Range(0, down.InFeatures).Where(j => !gone.Contains(j / 128))];
        Assert.Equal(128, kept.Length);

        var centred = x - Matrix<double>.Build.Dense(x.RowCount, x.ColumnCount, (_, j) => x.Column(j).Average());
        var weight = Matrix<double>.Build.Dense(down.OutFeatures, down.InFeatures, (i, j) => values[down.Weight.Tensor][i * down.InFeatures + j]);
        var target = centred * weight.Transpose();
        var remaining = Matrix<double>.Build.DenseOfColumns(kept.Select(centred.Column));
        var best = remaining.QR().Solve(target);
        var ours = Matrix<double>.Build.Dense(kept.Length, down.OutFeatures, (j, i) => refitted[down.Weight.Tensor][i * kept.Length + j]);
        var masked = Matrix<double>.Build.DenseOfRows(kept.Select(j => weight.Column(j)));
        double Error(Matrix<double> w) => (target - remaining * w).FrobeniusNorm();
        Assert.InRange(Error(ours), 0.999 * Error(best), 1.02 * Error(best));
        Assert.True(Error(ours) < 0.95 * Error(masked), $"{Error(ours)} after, {Error(masked)} before the refit");
    }

    [Fact]
    public async Task A_depth_pruner_takes_the_least_influential_block()
    {
        var result = await Run("shortgpt, remove: 1");
        using var original = ModelFolder.Open(TestModel.Embedded.Path);
        using var graph = ModelGraph.Load(original.Tensors, original.Spec, torch.float64, torch.CPU);
        using var _ = torch.no_grad();
        var influences = new double[graph.Blocks.Count];
        foreach (var window in Windows(result))
        {
            using var scope = torch.NewDisposeScope();
            var hidden = graph.Embedding.Forward(torch.tensor(window, torch.int64).unsqueeze(0));
            for (var b = 0; b < influences.Length; b++)
            {
                var (x, y) = (hidden[0], (hidden = graph.Blocks[b].Forward(hidden))[0]);
                influences[b] -= ((x * y).sum(dim: 1) / (x.norm(1) * y.norm(1))).sum().item<double>();
            }
        }
        Assert.Equal([CoupledGroup.WholeBlock(influences.Index().MinBy(i => i.Item).Index)], Choice(result));
    }

    [Fact]
    public async Task A_smaller_quantized_model_runs_in_the_engine_and_a_cancelled_run_ends_with_the_same_bytes()
    {
        const string Stages = "- prune: { method: flap, ratio: 0.3 }\n  - quantize: { method: rtn, bits: 8, group_size: 32 }";
        var recipe = Short(Runner.Recipe(TestModel.Embedded, Stages, Calibration)).Replace("{ format: hf, to: hf }", "{ format: compress, to: own }", StringComparison.Ordinal);
        var whole = await Runner.Run(folder, recipe, "whole");
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAsync<RunInterruptedException>(() => Runner.Run(folder, recipe, "cut", stop, after: "model.layers.1"));
        var resumed = await Runner.Run(folder, recipe, "cut", resume: true);
        Assert.Equal(whole.Exports[0].Files["model.safetensors"], resumed.Exports[0].Files["model.safetensors"]);

        using var model = RuntimeModel.Open(resumed.Exports[0].Path, 1);
        Assert.True(model.Spec.Blocks.All(b => b is { Attention.Output.Bias: not null, Mlp.Down.Bias: not null }));
    }

    private Task<RunResult> Run(string method) =>
        Runner.Run(folder, Short(Runner.Recipe(TestModel.Embedded, $"- prune: {{ method: {method} }}", Calibration)));

    /// <summary>What is measured at the end does not matter here.</summary>
    private static string Short(string recipe) => recipe.Replace("max_windows: 48", "max_windows: 1", StringComparison.Ordinal);

    private static IEnumerable<int[]> Windows(RunResult result) =>
        CalibrationFile.Read(Path.Combine(result.Folder, CalibrationFile.Name)).Windows.Select(w => w.Tokens);

    private static long Parameters(ModelFolder model) => model.Tensors.Tensors.Values.Sum(t => t.ElementCount);

    private static List<CoupledGroup> Choice(RunResult result)
    {
        using var file = SafetensorsFile.Map(Directory.GetFiles(result.Folder, "choice.safetensors", SearchOption.AllDirectories).Single());
        var view = file.Open("groups");
        var numbers = MemoryMarshal.Cast<byte, int>(view.Bytes(0, (int)view.Info.ByteCount)).ToArray();
        return [.. numbers.Chunk(3).Select(n => new CoupledGroup((GroupKind)n[0], n[1], n[2]))];
    }

    /// <summary>Inputs of the output projections on the calibration windows, <c>[tokens, in]</c>, by input name.</summary>
    private static Dictionary<string, Matrix<double>> Inputs(ModelFolder model, RunResult result)
    {
        using var graph = ModelGraph.Load(model.Tensors, model.Spec, torch.float64, torch.CPU);
        using var _ = torch.no_grad();
        var seen = new Seen();
        foreach (var window in Windows(result))
        {
            using var scope = torch.NewDisposeScope();
            var hidden = graph.Embedding.Forward(torch.tensor(window, torch.int64).unsqueeze(0));
            foreach (var block in graph.Blocks) hidden = block.Forward(hidden, seen);
        }
        return seen.Rows.ToDictionary(r => r.Key, r => Matrix<double>.Build.DenseOfRowArrays(r.Value));
    }

    private static double[] Scores(ModelFolder model, LinearSpec linear, Matrix<double> x, string metric)
    {
        using var scope = torch.NewDisposeScope();
        var w = TensorBridge.Load(model.Tensors.Open(linear.Weight.Tensor), torch.float64).data<double>().ToArray();
        return [.. Enumerable.Range(0, linear.InFeatures).Select(j =>
        {
            var column = Enumerable.Range(0, linear.OutFeatures).Select(i => w[i * linear.InFeatures + j]).ToArray();
            var values = x.Column(j);
            var mean = values.Average();
            var variance = values.Sum(v => (v - mean) * (v - mean)) / (values.Count - 1);
            return metric switch
            {
                "wifv" => variance * column.Sum(v => v * v),
                "ifv" => variance,
                _ => column.Average(Math.Abs) * Math.Sqrt(values.Sum(v => v * v) / values.Count),
            };
        })];
    }

    private static double[] Standardised(double[] values)
    {
        var mean = values.Average();
        var deviation = Math.Sqrt(values.Sum(v => (v - mean) * (v - mean)) / (values.Length - 1));
        return [.. values.Select(v => (v - mean) / deviation)];
    }

    private sealed class Seen : IInputObserver
    {
        public Dictionary<string, List<double[]>> Rows { get; } = [];

        public void OnInput(string inputName, torch.Tensor x)
        {
            if (!inputName.EndsWith("attn_out", StringComparison.Ordinal) && !inputName.EndsWith("mlp_mid", StringComparison.Ordinal)) return;
            if (!Rows.TryGetValue(inputName, out var rows)) Rows.Add(inputName, rows = []);
            rows.AddRange(x.contiguous().data<double>().ToArray().Chunk((int)x.shape[^1]));
        }
    }
}
