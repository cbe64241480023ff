using System.Globalization;
using System.Text.Json;
using Compress.Core.Evaluation;
using Compress.Core.Progress;
using Compress.Core.Runs;

namespace Compress.Core.Gates;

/// <summary>The numbers of a run or a model that a gate watches, and what they depend on.</summary>
/// <param name="Metrics">The numbers by name.</param>
/// <param name="Conditions">What must be the same for them to be comparable: texts, protocols, windows.</param>
public sealed record GateMeasurement(SortedDictionary<string, GateMetric> Metrics, SortedDictionary<string, string> Conditions)
{
    /// <summary>What the names of single sites' numbers begin with.</summary>
    internal const string SitePrefix = "stage ";

    /// <summary>An empty measurement.</summary>
    public GateMeasurement() : this(new(StringComparer.Ordinal), new(StringComparer.Ordinal))
    {
    }

    /// <summary>The numbers of a finished run.</summary>
    /// <param name="folder">The run folder.</param>
    /// <param name="speed">Whether speeds count: they depend on the machine and on what else it does.</param>
    /// <exception cref="GateException">The folder holds no finished run.</exception>
    public static GateMeasurement OfRun(string folder, bool speed)
    {
        var run = Read<RunResult>(Path.Combine(folder, "metrics.json"));
        var result = new GateMeasurement();
        foreach (var evaluation in run.Evaluations) result.Add(evaluation);
        foreach (var export in run.Exports) result.Metrics[$"{Path.GetFileName(export.Path)}: bytes"] = new GateMetric(export.Figures.Bytes);
        foreach (var site in Read<List<SiteReport>>(Path.Combine(folder, "sites.json")))
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"{SitePrefix}{site.Stage}, {site.Site}: {(site.OutputError is null ? "weight" : "output")} error");
            result.Metrics[name] = new GateMetric(site.OutputError ?? site.WeightError);
        }
        foreach (var compared in speed ? run.Speeds : [])
        {
            result.Metrics[$"{compared.Export}: prompt tokens per second"] = new GateMetric(compared.Result.PromptTokensPerSecond, null, true);
            result.Metrics[$"{compared.Export}: generated tokens per second"] = new GateMetric(compared.Result.GenerateTokensPerSecond, null, true);
        }
        return result;
    }

    /// <summary>Evaluates a model and weighs its files.</summary>
    /// <param name="evaluation">What to measure.</param>
    /// <param name="progress">Receives one phase.</param>
    /// <param name="cancellation">Stops between passes.</param>
    public static async Task<GateMeasurement> OfModelAsync(
        ModelEvaluation evaluation, IProgress<RunEvent>? progress = null, CancellationToken cancellation = default)
    {
        var result = new GateMeasurement();
        result.Add(await evaluation.RunAsync(progress, cancellation).ConfigureAwait(false));
        result.Metrics["weights: bytes"] = new GateMetric(RunInputs.WeightFiles(evaluation.Model).Sum(f => new FileInfo(f).Length));
        return result;
    }

    /// <summary>Adds what an evaluation measured.</summary>
    public void Add(EvaluationResult evaluation)
    {
        var text = $"{Path.GetFileName(evaluation.Dataset)} ({evaluation.Protocol}, {evaluation.Engine})";
        // A recipe may measure the same text twice, with other windows.
        var name = text;
        for (var i = 2; Conditions.ContainsKey(name); i++) name = string.Create(CultureInfo.InvariantCulture, $"{text} #{i}");
        Conditions[name] = string.Create(CultureInfo.InvariantCulture,
            $"text {evaluation.DatasetSha256}, {evaluation.Windows} windows of {evaluation.Window}, {evaluation.Tokens} tokens, {evaluation.Precision}");
        Metrics[$"{name}: perplexity"] = new GateMetric(evaluation.Perplexity, evaluation.PerplexityStandardError);
        if (evaluation.KlMean is not { } divergence) return;
        Metrics[$"{name}: KL divergence"] = new GateMetric(divergence, evaluation.KlMeanStandardError);
        Metrics[$"{name}: same top token"] = new GateMetric(evaluation.Top1Agreement!.Value, evaluation.Top1AgreementStandardError, true);
    }

    private static T Read<T>(string file)
    {
        try
        {
            using var stream = File.OpenRead(file);
            return JsonSerializer.Deserialize<T>(stream, RunJson.Indented) ?? throw new JsonException("it is null");
        }
        catch (FileNotFoundException e)
        {
            throw new GateException(file, "the run is not finished.", "Go on with it: compress run … --resume.", e);
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new GateException(file, $"cannot be read ({e.Message.TrimEnd('.')}).", "Make the run again.", e);
        }
    }
}
