using System.Diagnostics;
using System.Globalization;
using Compress.Core.Evaluation;
using Compress.Core.Pipeline;
using Compress.Core.Progress;
using Compress.Core.Recipes;
using Compress.Formats.Checkpoints;
using Compress.Formats.Datasets;
using Compress.Runtime.Measuring;
using Compress.Runtime.Model;
using TorchSharp;

namespace Compress.Core.Runs;

/// <summary>Takes the measurements that a recipe asks for, each once: those in the journal are not repeated.</summary>
/// <param name="recipe">The recipe.</param>
/// <param name="model">The original.</param>
/// <param name="folder">The run folder, with the exported checkpoints.</param>
/// <param name="journal">Its journal.</param>
/// <param name="device">Where torch computes.</param>
/// <param name="progress">Takes a phase for each measurement.</param>
/// <param name="cancellation">Ends the measurement at hand.</param>
internal sealed class RunMeasurements(
    Recipe recipe, ModelFolder model, RunFolder folder, Journal journal, torch.Device device, IProgress<RunEvent> progress,
    CancellationToken cancellation)
{
    private readonly List<EvaluationResult> evaluations = [];
    private readonly List<SpeedComparison> speeds = [];
    private long? peak;

    /// <summary>Perplexities and divergences, in the recipe's order.</summary>
    public IReadOnlyList<EvaluationResult> Evaluations => evaluations;

    /// <summary>Speeds, in the recipe's order.</summary>
    public IReadOnlyList<SpeedComparison> Speeds => speeds;

    /// <summary>Highest resident memory before the engine in C# first mapped a whole model; of the whole run where it did not.</summary>
    public long PeakMemory => peak ?? ProcessMemory.Peak;

    /// <summary>Takes those that are missing.</summary>
    /// <param name="result">The compressed model as torch reads it.</param>
    public void Take(ModelState result)
    {
        foreach (var (i, entry) in recipe.Evaluate.OfType<PerplexityRecipe>().Index())
        {
            var subject = i.ToString(CultureInfo.InvariantCulture);
            var earlier = journal.Entries.OfType<Evaluated>().FirstOrDefault(e => e.Subject == subject);
            evaluations.Add(earlier is null ? Evaluate(result, entry, subject) : earlier.Result);
        }
        foreach (var (i, entry) in recipe.Evaluate.OfType<SpeedRecipe>().Index())
        {
            var subject = i.ToString(CultureInfo.InvariantCulture);
            var earlier = journal.Entries.OfType<SpeedMeasured>().FirstOrDefault(e => e.Subject == subject);
            speeds.Add(earlier is null ? Time(entry, subject) : earlier.Result);
        }
    }

    private EvaluationResult Evaluate(ModelState compressed, PerplexityRecipe entry, string subject)
    {
        var start = Stopwatch.GetTimestamp();
        var protocol = EvaluationProtocol.Find(entry.Protocol);
        var tokens = protocol.Read(TextDataset.Open(entry.Data), model.LoadTokenizer(), Path.GetFileName(entry.Data));
        var options = new EvaluationOptions { Window = entry.Window, MaxWindows = entry.MaxWindows, Device = device };
        var result = entry.Engine == EvaluationEngine.Runtime
            ? WithEngine(entry, tokens, protocol, options)
            : Evaluator.EvaluateAsync(new EvaluatedModel(compressed.Tensors, compressed.Spec), new EvaluatedModel(model.Tensors, model.Spec), tokens,
                protocol, options, progress, cancellation).GetAwaiter().GetResult();
        journal.Append(new Evaluated(subject, result, Stopwatch.GetElapsedTime(start).TotalSeconds));
        return result;
    }

    private EvaluationResult WithEngine(PerplexityRecipe entry, TokenizedText tokens, EvaluationProtocol protocol, EvaluationOptions options)
    {
        peak ??= ProcessMemory.Peak;
        using var compressed = RuntimeModel.Open(folder.At(ExportOf(entry.Export)));
        using var original = RuntimeModel.Open(recipe.Model);
        return Evaluator.EvaluateAsync(compressed, original, tokens, protocol, options, progress, cancellation).GetAwaiter().GetResult();
    }

    private SpeedComparison Time(SpeedRecipe entry, string subject)
    {
        peak ??= ProcessMemory.Peak;
        var start = Stopwatch.GetTimestamp();
        var export = ExportOf(entry.Export);
        var options = new SpeedOptions { Prompt = entry.Prompt, Generate = entry.Generate, Repetitions = entry.Repetitions };
        var run = new RuntimeOptions { Threads = entry.Threads };
        progress.Report(new PhaseStarted("time original and result", 2 * entry.Repetitions, "repetitions"));
        var original = SpeedBenchmark.Run(recipe.Model, run, options, new Steps(progress, 0), cancellation);
        var compressed = SpeedBenchmark.Run(folder.At(export), run, options, new Steps(progress, entry.Repetitions), cancellation);
        var machine = MachineRates.Measure(compressed.Threads, TimeSpan.FromSeconds(0.5));
        var result = new SpeedComparison(export, original with { Machine = machine }, compressed with { Machine = machine });
        journal.Append(new SpeedMeasured(subject, result, Stopwatch.GetElapsedTime(start).TotalSeconds));
        progress.Report(new PhaseEnded());
        return result;
    }

    private string ExportOf(string? named) => named ?? recipe.Export[^1].To;

    private sealed class Steps(IProgress<RunEvent> progress, int before) : IProgress<int>
    {
        public void Report(int value) => progress.Report(new PhaseAdvanced(before + value));
    }
}
