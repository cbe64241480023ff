using System.Text.Json.Serialization;
using Compress.Core.Evaluation;
using Compress.Core.Export;

namespace Compress.Core.Runs;

/// <summary>How long a stage took.</summary>
/// <param name="Number">The stage's number, from 1.</param>
/// <param name="Kind"><c>prune</c>, <c>quantize</c> or <c>distill</c>.</param>
/// <param name="Method">The method's name.</param>
/// <param name="Sites">Sites that it compressed.</param>
/// <param name="Seconds">Wall time, over all sessions of a resumed run.</param>
public sealed record StageTime(int Number, string Kind, string Method, int Sites, double Seconds);

/// <summary>What a run achieved: the content of <c>metrics.json</c>.</summary>
public sealed record RunResult
{
    /// <summary>Name of the run.</summary>
    public required string Name { get; init; }

    /// <summary>The run folder.</summary>
    public required string Folder { get; init; }

    /// <summary>Perplexity before and after, divergence and agreement, for each text of the recipe.</summary>
    public required IReadOnlyList<EvaluationResult> Evaluations { get; init; }

    /// <summary>Speed before and after, for each speed entry of the recipe.</summary>
    public IReadOnlyList<SpeedComparison> Speeds { get; init; } = [];

    /// <summary>Size of the original.</summary>
    public required StorageFigures Original { get; init; }

    /// <summary>The exported checkpoints.</summary>
    public required IReadOnlyList<ExportResult> Exports { get; init; }

    /// <summary>Wall time by stage.</summary>
    public required IReadOnlyList<StageTime> Stages { get; init; }

    /// <summary>Wall time spent on evaluation, all sessions.</summary>
    public required double EvaluationSeconds { get; init; }

    /// <summary>Wall time of stages, exports and evaluation, all sessions.</summary>
    public required double Seconds { get; init; }

    /// <summary>
    /// Highest resident memory of the process, bytes; of the session that finished the run, up to the first measurement by the engine in
    /// C#, which maps whole models.
    /// </summary>
    public required long PeakMemory { get; init; }

    /// <summary>What was done to each site, stage by stage; in <c>sites.json</c> and <c>sites.parquet</c>.</summary>
    [JsonIgnore]
    public IReadOnlyList<SiteReport> Sites { get; init; } = [];
}
