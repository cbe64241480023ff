using System.Text.Json.Serialization;
using Compress.Core.Evaluation;
using Compress.Core.Export;

namespace Compress.Core.Runs;

/// <summary>One line of a run's journal: something that is finished and need not be done again.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "event")]
[JsonDerivedType(typeof(CalibrationDrawn), "calibration_drawn")]
[JsonDerivedType(typeof(PartFinished), "part_finished")]
[JsonDerivedType(typeof(StageFinished), "stage_finished")]
[JsonDerivedType(typeof(Evaluated), "evaluated")]
[JsonDerivedType(typeof(SpeedMeasured), "speed_measured")]
[JsonDerivedType(typeof(Exported), "exported")]
[JsonDerivedType(typeof(RunFinished), "run_finished")]
public abstract record JournalEntry;

/// <summary>The calibration windows are in <c>calibration.json</c>.</summary>
/// <param name="Sha256">Of that file.</param>
/// <param name="Seconds">Wall time.</param>
public sealed record CalibrationDrawn(string Sha256, double Seconds) : JournalEntry;

/// <summary>A stage finished a part of the model: a block, the head or the embedding.</summary>
/// <param name="Stage">Number of the stage, from 1.</param>
/// <param name="Part">Name of the part, e.g. <c>block-00003</c>; its file in the stage's folder has this name.</param>
/// <param name="Sha256">Of the part's file.</param>
/// <param name="Bytes">Size of the part's file.</param>
/// <param name="Seconds">Wall time spent on the part.</param>
/// <param name="Sites">What was done to its sites.</param>
public sealed record PartFinished(int Stage, string Part, string Sha256, long Bytes, double Seconds, IReadOnlyList<SiteReport> Sites)
    : JournalEntry;

/// <summary>A stage is finished and its invariants were checked.</summary>
/// <param name="Stage">Number of the stage, from 1.</param>
/// <param name="Seconds">Wall time of its last session; parts carry their own.</param>
public sealed record StageFinished(int Stage, double Seconds) : JournalEntry;

/// <summary>An evaluation is finished.</summary>
/// <param name="Subject">Which of the recipe's texts, from 0.</param>
/// <param name="Result">What was measured.</param>
/// <param name="Seconds">Wall time.</param>
public sealed record Evaluated(string Subject, EvaluationResult Result, double Seconds) : JournalEntry;

/// <summary>A speed was measured.</summary>
/// <param name="Subject">Which of the recipe's speed entries, from 0.</param>
/// <param name="Result">What was measured.</param>
/// <param name="Seconds">Wall time.</param>
public sealed record SpeedMeasured(string Subject, SpeedComparison Result, double Seconds) : JournalEntry;

/// <summary>A checkpoint was written, re-opened and checked.</summary>
/// <param name="Format">Its format.</param>
/// <param name="To">Its folder, as the recipe says.</param>
/// <param name="Files">Its files with their SHA-256.</param>
/// <param name="Figures">Its size.</param>
/// <param name="Seconds">Wall time.</param>
public sealed record Exported(
    string Format, string To, IReadOnlyDictionary<string, string> Files, StorageFigures Figures, double Seconds) : JournalEntry;

/// <summary>Everything the recipe asks for is done.</summary>
/// <param name="PeakMemory">Highest resident memory of the sessions, bytes.</param>
public sealed record RunFinished(long PeakMemory) : JournalEntry;
