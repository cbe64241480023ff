using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Compress.Core.Calibration;
using Compress.Core.Export;
using Compress.Core.Pipeline;
using Compress.Core.Progress;
using Compress.Core.Recipes;
using Compress.Core.Recipes.Yaml;
using Compress.Core.Torch;
using Compress.Formats;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using TorchSharp;

namespace Compress.Core.Runs;

/// <summary>Runs a recipe from the original model to exported checkpoints and measured results, in a folder that can be resumed.</summary>
/// <remarks>
/// The order is: inputs are hashed, calibration windows drawn, stages run block by block, checkpoints exported and checked, the result
/// evaluated against the original. Every finished piece is a line of the journal; a run that was killed goes on behind the last one and
/// ends with the same bytes as one that was not.
/// </remarks>
public sealed class CompressionRun
{
    private readonly Recipe recipe;
    private readonly IProgress<RunEvent> progress;
    private readonly CancellationToken cancellation;
    private readonly ModelFolder model;
    private readonly RunFolder folder;
    private readonly Journal journal;
    private readonly ForwardSettings forward;

    private CompressionRun(Recipe recipe, IProgress<RunEvent> progress, ModelFolder model, RunFolder folder,
        Journal journal, ForwardSettings forward, CancellationToken cancellation)
    {
        this.recipe = recipe;
        this.progress = progress;
        this.model = model;
        this.folder = folder;
        this.journal = journal;
        this.forward = forward;
        this.cancellation = cancellation;
    }

    private string Name => recipe.Name ?? Path.GetFileName(folder.Path);

    /// <summary>Runs a recipe, or what is left of it.</summary>
    /// <param name="recipe">The recipe; paths resolved.</param>
    /// <param name="options">The run folder, and whether to go on with what it holds.</param>
    /// <param name="progress">Takes phases, sites with their errors, and warnings.</param>
    /// <param name="cancellation">Ends the run after the site at hand.</param>
    /// <exception cref="RecipeException">The recipe does not fit the model.</exception>
    /// <exception cref="ModelFileException">Model, tokenizer or data cannot be read.</exception>
    /// <exception cref="RunException">The folder is in use, holds something else, cannot be written, or was begun with other inputs.</exception>
    /// <exception cref="ExportException">A checkpoint cannot be expressed in its format.</exception>
    /// <exception cref="RunInterruptedException">The run was cancelled; the message says how to go on.</exception>
    public static Task<RunResult> ExecuteAsync(
        Recipe recipe, RunOptions options, IProgress<RunEvent> progress, CancellationToken cancellation = default) =>
        Task.Run(() => Execute(recipe, options, progress, cancellation), CancellationToken.None);

    private static RunResult Execute(Recipe recipe, RunOptions options, IProgress<RunEvent> progress, CancellationToken cancellation)
    {
        NativeHeap.ReturnLargeBlocks();
        var device = RunEnvironment.Device(recipe);
        var compute = options.Precision ?? RunEnvironment.Precision(recipe, device);
        var forward = new ForwardSettings(compute, torch.ScalarType.Float32, device, recipe.Calibration?.BatchSize ?? 1);
        using var model = ModelFolder.Open(recipe.Model);
        RequireFit(recipe, model);
        using var folder = RunFolder.Take(options.OutputFolder, options.Resume);
        try
        {
            Begin(recipe, folder, forward, progress, cancellation);
            using var journal = Journal.Open(folder.At(RunFolder.JournalFile));
            return new CompressionRun(recipe, progress, model, folder, journal, forward, cancellation).Run();
        }
        catch (FileWriteException e)
        {
            // The writers of checkpoints know nothing of runs, in which what is finished is kept.
            throw RunException.Writing(e.File, e.InnerException!);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            throw new RunInterruptedException(
                $"Stopped. What is finished is in {folder.Path}; go on with the same command and --resume.", cancellation);
        }
    }

    private static void RequireFit(Recipe recipe, ModelFolder model)
    {
        var unplaced = new Bound<Recipe>(recipe, recipe.Name ?? "recipe", new Dictionary<string, Mark>());
        var problems = RecipeValidator.WithoutModel(unplaced).Concat(RecipeValidator.AgainstModel(unplaced, model.Spec)).ToList();
        if (problems.Count > 0) throw new RecipeException(problems);
    }

    /// <summary>Writes the manifest of a new run, or compares that of an old one with the inputs as they are now.</summary>
    private static void Begin(
        Recipe recipe, RunFolder folder, ForwardSettings forward, IProgress<RunEvent> progress, CancellationToken cancellation)
    {
        var settings = new Dictionary<string, string>
        {
            ["device"] = forward.Device.type.ToString().ToLowerInvariant(),
            ["precision"] = forward.Compute == torch.ScalarType.BFloat16 ? "bf16" : "f32",
        };
        var total = RunInputs.Files(recipe).Sum(f => File.Exists(f.File) ? new FileInfo(f.File).Length : 0);
        var (read, shown) = (0L, 0L);
        progress.Report(new PhaseStarted("read inputs", total >> 20, "MiB"));
        var inputs = RunInputs.Collect(recipe, settings, bytes =>
        {
            read += bytes;
            if (read >> 24 == shown) return;
            shown = read >> 24;
            progress.Report(new PhaseAdvanced(read >> 20));
        }, cancellation);
        progress.Report(new PhaseEnded());
        var environment = RunEnvironment.Describe();
        if (!folder.HasRun)
        {
            folder.Write("recipe.yaml", RecipeWriter.Write(recipe));
            new RunManifest(RunManifest.CurrentFormat, recipe.Name ?? Path.GetFileName(folder.Path), recipe.Model, inputs, environment).Write(folder);
            return;
        }
        var manifest = RunManifest.Read(folder);
        manifest.RequireSame(folder, inputs);
        if (int.TryParse(manifest.Environment.GetValueOrDefault(RunManifest.ThreadsKey), out var threads)) torch.set_num_threads(threads);
        foreach (var difference in RunInputs.Differences(manifest.Environment, environment).Where(d => !d.StartsWith(RunManifest.ThreadsKey, StringComparison.Ordinal)))
            progress.Report(new Warning($"The run goes on elsewhere: {difference}; last digits may differ from an uninterrupted run."));
    }

    private RunResult Run()
    {
        VerifyFinished();
        var windows = Calibrate();
        var stages = new List<StageCheckpoint>();
        try
        {
            var current = ModelState.Of(model);
            for (var i = 0; i < recipe.Stages.Count; i++)
            {
                RequireFit(i, current);
                current = RunStage(i, current, windows);
                stages.Add(current.Stages!);
            }
            var sites = journal.Entries.OfType<PartFinished>().SelectMany(p => p.Sites).ToList();
            SiteTables.Write(folder, sites);
            var exports = Export(current, sites);
            var measurements = new RunMeasurements(recipe, model, folder, journal, forward.Device, progress, cancellation);
            measurements.Take(current);
            return Finish(exports, measurements, sites);
        }
        finally
        {
            for (var i = stages.Count - 1; i >= 0; i--) stages[i].Dispose();
        }
    }

    /// <summary>
    /// Forgets journal entries whose files are gone or damaged (a disk that lost power may lose files after their journal line), and all
    /// behind them; removes files that no entry names.
    /// </summary>
    private void VerifyFinished()
    {
        var entries = journal.Entries;
        for (var i = 0; i < entries.Count; i++)
        {
            if (entries[i] is PartFinished part && !Intact(PathOf(part), part.Sha256)
                || entries[i] is CalibrationDrawn drawn && !Intact(folder.At(CalibrationFile.Name), drawn.Sha256)
                || entries[i] is Exported exported && exported.Files.Any(f => !Intact(Path.Combine(folder.At(exported.To), f.Key), f.Value)))
            {
                progress.Report(new Warning($"{Describe(entries[i])} is missing or damaged and is made again, with everything after it."));
                journal.Truncate(i);
            }
        }
        if (!Directory.Exists(folder.At("stages"))) return;
        var named = journal.Entries.OfType<PartFinished>().Select(PathOf).ToHashSet(StringComparer.Ordinal);
        foreach (var file in Directory.EnumerateFiles(folder.At("stages"), "*", SearchOption.AllDirectories).Where(f => !named.Contains(f)).ToList())
            File.Delete(file);
    }

    private static bool Intact(string file, string sha256) => File.Exists(file) && RunInputs.Hash(file) == sha256;

    private string PathOf(PartFinished part) =>
        Path.Combine(folder.StageFolder(part.Stage, recipe.Stages[part.Stage - 1]), part.Part + ".safetensors");

    private static string Describe(JournalEntry entry) => entry switch
    {
        PartFinished part => string.Create(CultureInfo.InvariantCulture, $"stage {part.Stage}, {part.Part}"),
        Exported exported => $"the export {exported.To}",
        _ => CalibrationFile.Name,
    };

    /// <summary>Draws the calibration windows, or reads those of an earlier session; none where no stage takes statistics.</summary>
    private IReadOnlyList<int[]> Calibrate()
    {
        if (recipe.Calibration is not { } calibration) return [];
        var path = folder.At(CalibrationFile.Name);
        if (!journal.Entries.OfType<CalibrationDrawn>().Any())
        {
            var start = Stopwatch.GetTimestamp();
            progress.Report(new PhaseStarted("draw calibration windows", null, "windows"));
            var file = CalibrationDraw.Make(calibration, recipe.Seed, model, progress);
            folder.Write(CalibrationFile.Name, file.ToJson());
            journal.Append(new CalibrationDrawn(RunInputs.Hash(path), Stopwatch.GetElapsedTime(start).TotalSeconds));
            progress.Report(new PhaseEnded());
        }
        return [.. CalibrationFile.Read(path).Windows.Select(w => w.Tokens)];
    }

    /// <summary>A stage that removed heads or channels may leave shapes that a later stage's options do not fit.</summary>
    private void RequireFit(int stage, ModelState current)
    {
        if (ReferenceEquals(current.Spec, model.Spec)) return;
        var unplaced = new Bound<Recipe>(recipe, Name, new Dictionary<string, Mark>());
        var problems = new StageChecks(unplaced, current.Spec).Problems(stage);
        if (problems.Count > 0) throw new RecipeException(problems);
    }

    private ModelState RunStage(int index, ModelState input, IReadOnlyList<int[]> windows)
    {
        var start = Stopwatch.GetTimestamp();
        var number = index + 1;
        var stageFolder = folder.StageFolder(number, recipe.Stages[index]);
        Directory.CreateDirectory(stageFolder);
        var job = new StageJob
        {
            Stage = recipe.Stages[index],
            Number = number,
            Stages = recipe.Stages.Count,
            Original = model,
            Input = input,
            Folder = stageFolder,
            Scratch = folder.At("training"),
            Windows = windows,
            Forward = forward,
            Seed = recipe.Seed,
            Journal = journal,
            Progress = progress,
            Cancellation = cancellation,
        };
        var output = StageRunner.Run(job);
        if (!journal.Entries.OfType<StageFinished>().Any(e => e.Stage == number))
            journal.Append(new StageFinished(number, Stopwatch.GetElapsedTime(start).TotalSeconds));
        return output;
    }

    private List<ExportResult> Export(ModelState current, List<SiteReport> sites)
    {
        var compressed = CompressedSites(current.Spec, sites);
        var exporter = new CheckpointExporter(model, current, compressed);
        foreach (var export in recipe.Export)
        {
            if (journal.Entries.OfType<Exported>().Any(e => e.To == export.To)) continue;
            var start = Stopwatch.GetTimestamp();
            progress.Report(new PhaseStarted($"export {export.Format} to {export.To}", current.Tensors.Tensors.Count, "tensors"));
            var result = exporter.Export(export, folder.At(export.To), progress, cancellation);
            journal.Append(new Exported(export.Format, export.To, result.Files, result.Figures, Stopwatch.GetElapsedTime(start).TotalSeconds));
            progress.Report(new PhaseEnded());
        }
        return [.. journal.Entries.OfType<Exported>().Select(e => new ExportResult(e.Format, folder.At(e.To), e.Figures, e.Files))];
    }

    private static List<SelectableSite> CompressedSites(ModelSpec model, List<SiteReport> sites)
    {
        var names = sites.Select(s => s.Site).ToHashSet(StringComparer.Ordinal);
        return [.. SiteSelection.All(model).Where(s => names.Contains(s.Shape.Name))];
    }

    /// <summary>The stage's wall time; of an interrupted stage at least that of its parts, which earlier sessions may have done.</summary>
    private double StageSeconds(int number) => Math.Max(
        journal.Entries.OfType<StageFinished>().Where(e => e.Stage == number).Sum(e => e.Seconds),
        journal.Entries.OfType<PartFinished>().Where(e => e.Stage == number).Sum(e => e.Seconds));

    private RunResult Finish(List<ExportResult> exports, RunMeasurements measurements, List<SiteReport> sites)
    {
        var parts = journal.Entries.OfType<PartFinished>().ToLookup(p => p.Stage);
        var stages = recipe.Stages.Select((s, i) => new StageTime(
            i + 1,
            s.Method.Attribute.Kind.ToString().ToLowerInvariant(),
            s.Method.Attribute.Name,
            parts[i + 1].Sum(p => p.Sites.Count),
            StageSeconds(i + 1))).ToList();
        var evaluation = journal.Entries.OfType<Evaluated>().Sum(e => e.Seconds) + journal.Entries.OfType<SpeedMeasured>().Sum(e => e.Seconds);
        var files = RunInputs.WeightFiles(recipe.Model);
        var result = new RunResult
        {
            Name = Name,
            Folder = folder.Path,
            Evaluations = measurements.Evaluations,
            Speeds = measurements.Speeds,
            Original = StorageFigures.Measure(files.Sum(f => new FileInfo(f).Length), model.Tensors.Tensors, model.Tensors, model.Spec, CompressedSites(model.Spec, sites)),
            Exports = exports,
            Stages = stages,
            EvaluationSeconds = evaluation,
            Seconds = stages.Sum(s => s.Seconds) + evaluation + journal.Entries.OfType<Exported>().Sum(e => e.Seconds)
                + journal.Entries.OfType<CalibrationDrawn>().Sum(e => e.Seconds),
            PeakMemory = measurements.PeakMemory,
            Sites = sites,
        };
        folder.Write("metrics.json", JsonSerializer.Serialize(result, RunJson.Indented) + "\n");
        if (!journal.Entries.OfType<RunFinished>().Any()) journal.Append(new RunFinished(result.PeakMemory));
        return result;
    }
}
