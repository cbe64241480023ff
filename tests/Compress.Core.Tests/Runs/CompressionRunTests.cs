using System.Security.Cryptography;
using System.Text.Json;
using Compress.Core.Pipeline;
using Compress.Core.Progress;
using Compress.Core.Recipes;
using Compress.Core.Runs;
using Compress.Core.Tests.Pipeline;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;

namespace Compress.Core.Tests.Runs;

[Collection(nameof(WholeRuns))]
public sealed class CompressionRunTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    private Recipe Two => tiny.Recipe(TinyRun.Wanda(), TinyRun.Rtn(keepSparsity: true));

    [Fact]
    public async Task A_run_leaves_everything_that_is_needed_to_repeat_and_to_judge_it()
    {
        var recipe = Two with { Evaluate = [new PerplexityRecipe { Data = tiny.Text, Window = 32, MaxWindows = 4 }] };
        var progress = new EventList();
        var result = await tiny.Run(recipe, progress: progress);
        string[] files = ["recipe.yaml", "run.json", "journal.jsonl", "calibration.json", "sites.json", "sites.parquet", "metrics.json"];
        Assert.All(files, file => Assert.True(File.Exists(tiny.At("run/" + file)), file));
        Assert.Equal(42, result.Sites.Count);
        var evaluation = Assert.Single(result.Evaluations);
        Assert.True(evaluation.KlMean > 0 && evaluation.ReferencePerplexity > 1);
        var export = Assert.Single(result.Exports);
        Assert.Equal(0.5, export.Figures.Zeros, 1);
        Assert.Equal(16, export.Figures.BitsPerWeight);
        Assert.True(result.Original.Zeros < 0.001);
        using var metrics = JsonDocument.Parse(File.ReadAllText(tiny.At("run/metrics.json")));
        Assert.Equal(evaluation.Perplexity, metrics.RootElement.GetProperty("evaluations")[0].GetProperty("perplexity").GetDouble());
        using var reopened = ModelFolder.Open(export.Path);
        Assert.Equal(32, reopened.Spec.HiddenSize);
        Assert.Contains(progress.Events, e => e is PhaseStarted { Name: "stage 2 of 2: quantize plain_rtn", Total: 21, Unit: "sites" });
    }

    [Fact]
    public async Task Packed_weights_read_back_as_the_very_codes_of_the_stage()
    {
        var recipe = Two with { Export = [new ExportRecipe { Format = "compressed-tensors", To = "packed" }, new ExportRecipe { Format = "hf", To = "hf" }] };
        var result = await tiny.Run(recipe);
        var (packed, dense) = (result.Exports[0].Figures, result.Exports[1].Figures);
        // 4 bits and an F16 scale for 16 columns, 16 bytes of shape for each weight.
        Assert.InRange(packed.BitsPerWeight, 5, 5.3);
        Assert.Equal(16, dense.BitsPerWeight);
        Assert.InRange(packed.Zeros, 0.5, 0.65);
        Assert.True(packed.Bytes < dense.Bytes);
        using var original = ModelFolder.Open(tiny.Model);
        using var reopened = ModelFolder.Open(result.Exports[0].Path);
        using var checkpoint = new StageCheckpoint(original.Tensors, original.Spec);
        foreach (var file in Directory.GetFiles(tiny.At("run/stages/02-quantize-plain_rtn"))) checkpoint.Add(file);
        var source = Assert.IsType<DecodingTensorSource>(reopened.Tensors);
        foreach (var site in result.Sites.Select(s => s.Site).Distinct())
        {
            var (written, read) = ((GroupQuantizedWeight)checkpoint.ReadEncoded(site)!, (GroupQuantizedWeight)source.ReadEncoded(site + ".weight")!);
            Assert.Equal(written.Codes, read.Codes);
            Assert.Equal(written.Scales, read.Scales);
        }
    }

    [Theory]
    [InlineData(SparseStorage.Auto, "bitmap of 4-bit integers")]
    [InlineData(SparseStorage.Dense, "4-bit integers")]
    [InlineData(SparseStorage.Csr, "csr of 4-bit integers")]
    public async Task The_own_format_holds_what_the_stage_made_in_the_encoding_asked_for(SparseStorage sparse, string encoding)
    {
        var result = await tiny.Run(Two with
        {
            Export =
            [
                new ExportRecipe { Format = "compress", To = "own", Sparse = sparse },
                new ExportRecipe { Format = "compressed-tensors", To = "packed" },
            ],
        });
        using var original = ModelFolder.Open(tiny.Model);
        using var reopened = ModelFolder.Open(result.Exports[0].Path);
        using var packed = ModelFolder.Open(result.Exports[1].Path);
        var (source, twin) = ((DecodingTensorSource)reopened.Tensors, (DecodingTensorSource)packed.Tensors);
        Assert.Equal(original.Tensors.Tensors.Keys.Order(), source.Tensors.Keys.Order());
        var bytes = 0L;
        foreach (var name in source.Tensors.Keys.Where(twin.IsEncoded))
        {
            var weight = source.ReadEncoded(name)!;
            Assert.Equal(encoding, weight.Summary);
            Assert.Equal(Decoded(twin.ReadEncoded(name)!), Decoded(weight));
            bytes += weight.StoredBytes;
        }
        var (own, other) = (result.Exports[0].Figures, result.Exports[1].Figures);
        Assert.Equal(21, source.Tensors.Keys.Count(source.IsEncoded));
        Assert.Equal(8.0 * bytes / source.Tensors.Values.Where(t => source.IsEncoded(t.Name)).Sum(t => t.ElementCount), own.BitsPerWeight);
        Assert.Equal(other.Zeros, own.Zeros);
        Assert.Equal(sparse == SparseStorage.Auto, own.BitsPerWeight < 4.2);
    }

    [Fact]
    public async Task Pruned_weights_are_stored_sparse_in_their_own_type()
    {
        var result = await tiny.Run(tiny.Recipe(TinyRun.Wanda()) with { Export = [new ExportRecipe { Format = "compress", To = "own" }] });
        using var reopened = ModelFolder.Open(result.Exports[0].Path);
        var source = (DecodingTensorSource)reopened.Tensors;
        foreach (var site in result.Sites)
        {
            Assert.Equal("bitmap of F16", source.ReadEncoded(site.Site + ".weight")!.Summary);
            Assert.Equal(ElementType.F16, source.Tensors[site.Site + ".weight"].Type);
        }
        Assert.InRange(result.Exports[0].Figures.BitsPerWeight, 8.9, 9.1);
        // Its own format is a model like any other: the next run starts from it.
        var again = await tiny.Run(tiny.Recipe(TinyRun.Rtn(keepSparsity: true)) with { Model = result.Exports[0].Path }, "again");
        Assert.InRange(again.Exports[0].Figures.Zeros, 0.49, 0.7);
    }

    [Fact]
    public async Task How_zeros_are_stored_is_asked_of_the_own_format_alone()
    {
        var recipe = Two with { Export = [new ExportRecipe { Format = "hf", To = "hf", Sparse = SparseStorage.Bitmap }] };
        Assert.Contains("compress", (await Assert.ThrowsAsync<RecipeException>(() => tiny.Run(recipe))).Message, StringComparison.Ordinal);
    }

    private static float[] Decoded(EncodedWeight weight)
    {
        var values = new float[weight.Rows * weight.Columns];
        weight.Decode(values);
        return values;
    }

    [Fact]
    public async Task Weights_that_compressed_tensors_cannot_express_are_refused_before_the_run()
    {
        var recipe = tiny.Recipe(TinyRun.Rtn(groupSize: 20)) with { Export = [new ExportRecipe { Format = "compressed-tensors", To = "packed" }] };
        var failure = await Assert.ThrowsAsync<RecipeException>(() => tiny.Run(recipe));
        Assert.Contains("divide", failure.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(tiny.At("run")));
    }

    [Fact]
    public async Task The_same_recipe_gives_the_same_bytes_twice()
    {
        await tiny.Run(Two, "first");
        await tiny.Run(Two, "second");
        Assert.Equal(Hashes("first"), Hashes("second"));
    }

    /// <summary>Dies at one event after the other, which covers every step of the journal, and goes on each time.</summary>
    [Fact]
    public async Task A_run_that_dies_anywhere_and_goes_on_ends_with_the_same_bytes()
    {
        var whole = new EventList();
        await tiny.Run(Two, "whole", progress: whole);
        var expected = Hashes("whole");
        for (var at = 1; at < whole.Events.Count; at += 5)
        {
            var name = $"run{at}";
            var count = 0;
            await Assert.ThrowsAsync<Crash>(() => tiny.Run(Two, name, resume: true, new EventList { Also = _ => { if (count++ == at) throw new Crash(); } }));
            // What a process leaves that is killed while it writes.
            if (Directory.Exists(tiny.At($"{name}/stages/01-prune-plain_wanda")))
                File.WriteAllText(tiny.At($"{name}/stages/01-prune-plain_wanda/block-00002.safetensors.partial"), "half");
            await tiny.Run(Two, name, resume: true);
            Assert.Equal(expected, Hashes(name));
        }
    }

    [Fact]
    public async Task A_finished_run_is_told_again_without_work()
    {
        var first = await tiny.Run(Two);
        var progress = new EventList();
        var again = await tiny.Run(Two, resume: true, progress: progress);
        Assert.Equal(first.Sites.Count, again.Sites.Count);
        Assert.Equal(first.Seconds, again.Seconds);
        Assert.DoesNotContain(progress.Events, e => e is PhaseAdvanced { Detail: not null });
    }

    [Fact]
    public async Task Damaged_stage_files_are_made_again()
    {
        await tiny.Run(Two, "whole");
        await tiny.Run(Two);
        var file = tiny.At("run/stages/01-prune-plain_wanda/block-00001.safetensors");
        var bytes = File.ReadAllBytes(file);
        bytes[^1] ^= 1;
        File.WriteAllBytes(file, bytes);
        var progress = new EventList();
        await tiny.Run(Two, resume: true, progress: progress);
        Assert.Contains(progress.Events, e => e is Warning { Text: var text } && text.Contains("stage 1, block-00001", StringComparison.Ordinal));
        Assert.Equal(Hashes("whole"), Hashes("run"));
    }

    [Fact]
    public async Task Changed_inputs_are_refused_with_the_difference_named()
    {
        await tiny.Run(Two);
        var longer = Two with { Calibration = Two.Calibration! with { Length = 20 } };
        var recipe = await Assert.ThrowsAsync<RunException>(() => tiny.Run(longer, resume: true));
        Assert.Contains("recipe.calibration.length was 24, is 20", recipe.Message, StringComparison.Ordinal);

        File.AppendAllText(tiny.Text, "more");
        var text = await Assert.ThrowsAsync<RunException>(() => tiny.Run(Two, resume: true));
        Assert.Contains("calibration.data was sha256:", text.Message, StringComparison.Ordinal);

        var weights = Path.Combine(tiny.Model, "model.safetensors");
        var bytes = File.ReadAllBytes(weights);
        bytes[^1] ^= 1;
        File.WriteAllBytes(weights, bytes);
        var model = await Assert.ThrowsAsync<RunException>(() => tiny.Run(Two, resume: true));
        Assert.Contains("model.model.safetensors was sha256:", model.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_run_folder_is_not_overwritten()
    {
        await tiny.Run(Two);
        var failure = await Assert.ThrowsAsync<RunException>(() => tiny.Run(Two));
        Assert.Contains("--resume", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Cancelling_ends_after_the_site_at_hand_and_says_how_to_go_on()
    {
        await tiny.Run(Two, "whole");
        using var source = new CancellationTokenSource();
        var sites = 0;
        var progress = new EventList
        {
            Also = e =>
            {
                if (e is PhaseAdvanced { Detail: not null } && ++sites == 10) source.Cancel();
            },
        };
        var stopped = await Assert.ThrowsAsync<RunInterruptedException>(() => tiny.Run(Two, progress: progress, cancellation: source.Token));
        Assert.Contains("--resume", stopped.Message, StringComparison.Ordinal);
        Assert.Equal(10, sites);
        await tiny.Run(Two, resume: true);
        Assert.Equal(Hashes("whole"), Hashes("run"));
    }

    /// <summary>SHA-256 of everything a run leaves apart from the files that hold times.</summary>
    private SortedDictionary<string, string> Hashes(string name)
    {
        string[] timed = ["journal.jsonl", "metrics.json", "run.lock"];
        var root = tiny.At(name);
        var hashes = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var file in Directory.EnumerateFiles(root, "*", SearchOption.AllDirectories).Where(f => !timed.Contains(Path.GetFileName(f))))
            hashes.Add(Path.GetRelativePath(root, file), Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file))));
        return hashes;
    }

    private sealed class Crash : Exception;
}
