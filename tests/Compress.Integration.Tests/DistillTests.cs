using System.Text.RegularExpressions;
using Compress.Core.Runs;
using Compress.Distill.Training;
using Compress.Formats;
using Compress.Formats.Checkpoints;
using Compress.Testing;

namespace Compress.Integration.Tests;

/// <summary>Runs in which a compressed model is trained towards the original.</summary>
public sealed class DistillTests : IDisposable
{
    private const string Calibration = "samples: 6, length: 64, batch_size: 2";
    private const string Wanda = "- prune: { method: wanda, sparsity: 0.6 }";

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task A_pruned_model_comes_back_towards_the_original_and_its_zeros_stay()
    {
        var pruned = await Run(Wanda, "pruned");
        var distilled = await Run(Wanda + "\n  " + Distill("steps: 12, learning_rate: 2.0e-3, keep: sparsity"), "distilled");

        Assert.True(Divergence(distilled) < 0.9 * Divergence(pruned), $"{Divergence(pruned)} before, {Divergence(distilled)} after");
        using var before = ModelFolder.Open(Assert.Single(pruned.Exports).Path);
        using var after = ModelFolder.Open(Assert.Single(distilled.Exports).Path);
        var (was, now) = (WandaMaskTests.Values(before), WandaMaskTests.Values(after));
        var sites = distilled.Sites.Where(s => s is { Stage: 2, Block: not null }).ToList();
        Assert.Equal(28, sites.Count);
        foreach (var site in sites)
        {
            var (a, b) = (was[site.Site + ".weight"], now[site.Site + ".weight"]);
            Assert.All(a.Zip(b), pair => Assert.True(pair.First != 0 || pair.Second == 0));
            Assert.True(site.WeightError > 1e-5, site.Site);
        }
    }

    [Fact]
    public async Task A_run_cancelled_in_training_ends_with_the_same_bytes()
    {
        var stages = Wanda + "\n  " + Distill("steps: 6, learning_rate: 2.0e-3, checkpoint_every: 4, keep: sparsity, train: lora")
            + "\n  - quantize: { method: gptq, bits: 4, group_size: 64, keep: sparsity }";
        var straight = await Run(stages, "straight");
        var recipe = Recipe(stages);
        using (var stop = new CancellationTokenSource())
        {
            await Assert.ThrowsAsync<RunInterruptedException>(() => Runner.Run(folder, recipe, "resumed", stop, at: e => e is TrainingStep { Step: 3 }));
        }
        var resumed = await Runner.Run(folder, recipe, "resumed", resume: true);
        Assert.Equal(Assert.Single(straight.Exports).Files, Assert.Single(resumed.Exports).Files);
        var log = TrainingLog.Read(folder.At("runs", "resumed", "training", "02", "log.jsonl")).Select(l => l.Loss);
        Assert.Equal(TrainingLog.Read(folder.At("runs", "straight", "training", "02", "log.jsonl")).Select(l => l.Loss), log);
        Assert.False(File.Exists(folder.At("runs", "resumed", "training", "02", "checkpoint.bin")));
    }

    [Fact]
    public async Task Quantized_weights_are_trained_in_their_encoding()
    {
        const string Rtn = "- quantize: { method: rtn, bits: 2, group_size: 64 }";
        var rounded = await Run(Rtn, "rounded");
        var trained = await Run(Rtn + "\n  " + Distill("steps: 16, learning_rate: 2.0e-3, train: quantized"), "trained");
        Assert.True(Divergence(trained) < 0.95 * Divergence(rounded), $"{Divergence(rounded)} before, {Divergence(trained)} after");
        var sites = trained.Sites.Where(s => s.Stage == 2).ToList();
        Assert.Equal(28, sites.Count);
        Assert.All(sites, s => Assert.Equal((2, 64), (s.Bits, s.GroupSize)));
        Assert.Equal(trained.Sites.Where(s => s.Stage == 1).Select(s => s.BitsPerWeight), sites.Select(s => s.BitsPerWeight));
    }

    [Theory]
    [InlineData("train: norms", @"norm\.weight$")]
    [InlineData("train: sites, targets: [\"*.down_proj\"]", @"down_proj\.weight$")]
    [InlineData("train: lora, lora_rank: 2, ignore: [\"*.self_attn.*\"]", @"mlp\..*\.weight$")]
    [InlineData("train: all, targets: [\"*.up_proj\"]", @"up_proj\.weight$|norm\.weight$|embed_tokens")]
    public async Task Only_the_weights_that_were_asked_for_change(string options, string pattern)
    {
        var result = await Run(Distill("steps: 2, learning_rate: 0.05, losses: [{ cross_entropy: {} }], " + options), "run");
        using var before = ModelFolder.Open(TestModel.Embedded.Path);
        using var after = ModelFolder.Open(Assert.Single(result.Exports).Path);
        var (was, now) = (WandaMaskTests.Values(before), WandaMaskTests.Values(after));
        var changed = was.Keys.Where(name => !was[name].AsSpan().SequenceEqual(now[name])).ToList();
        Assert.Equal(was.Keys.Where(name => Regex.IsMatch(name, pattern)).Order(), changed.Order());
    }

    [Fact]
    public async Task A_teacher_with_other_tokens_is_refused_and_the_tokens_are_named()
    {
        var teacher = Directory.CreateDirectory(folder.At("teacher")).FullName;
        foreach (var file in Directory.EnumerateFiles(TestModel.Embedded.Path)) File.Copy(file, Path.Combine(teacher, Path.GetFileName(file)));
        var tokenizer = Path.Combine(teacher, "tokenizer.json");
        var text = File.ReadAllText(tokenizer);
        using (var model = ModelFolder.Open(teacher))
        {
            var tokens = model.LoadTokenizer();
            text = text.Replace($"\"{tokens.TokenOf(70)}\": 70", "\"?\": 70", StringComparison.Ordinal)
                .Replace($"\"{tokens.TokenOf(71)}\": 71", $"\"{tokens.TokenOf(70)}\": 71", StringComparison.Ordinal)
                .Replace("\"?\": 70", $"\"{tokens.TokenOf(71)}\": 70", StringComparison.Ordinal);
        }
        File.WriteAllText(tokenizer, text);
        var e = await Assert.ThrowsAsync<ModelFileException>(() => Run(Distill($"steps: 2, teacher: {teacher}"), "run"));
        Assert.Contains("70 (", e.Message, StringComparison.Ordinal);
        Assert.Contains("71 (", e.Message, StringComparison.Ordinal);
        Assert.Equal(teacher, e.File);
    }

    private static double Divergence(RunResult result) => result.Evaluations[0].KlMean!.Value;

    private static string Distill(string options) =>
        $"- distill: {{ data: {TestModel.Embedded.Calibration}, length: 64, batch_size: 4, precision: f32, warmup_steps: 2, {options} }}";

    private static string Recipe(string stages) => Runner.Recipe(TestModel.Embedded, stages, Calibration)
        .Replace("max_windows: 48 }", "max_windows: 8 }\n  - divergence: {}", StringComparison.Ordinal);

    private Task<RunResult> Run(string stages, string name) => Runner.Run(folder, Recipe(stages), name);
}
