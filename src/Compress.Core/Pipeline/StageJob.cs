using Compress.Core.Progress;
using Compress.Core.Recipes;
using Compress.Core.Runs;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;

namespace Compress.Core.Pipeline;

/// <summary>Everything that a stage works with; borrowed from the run.</summary>
internal sealed record StageJob
{
    /// <summary>The stage.</summary>
    public required StageRecipe Stage { get; init; }

    /// <summary>Its number, from 1.</summary>
    public required int Number { get; init; }

    /// <summary>Stages of the run, for progress.</summary>
    public required int Stages { get; init; }

    /// <summary>The model that the run began with.</summary>
    public required ModelFolder Original { get; init; }

    /// <summary>The model before the stage.</summary>
    public required ModelState Input { get; init; }

    /// <summary>What the model is before the stage.</summary>
    public ModelSpec Model => Input.Spec;

    /// <summary>The checkpoint before the stage.</summary>
    public ITensorSource Source => Input.Tensors;

    /// <summary>Where parts are written.</summary>
    public required string Folder { get; init; }

    /// <summary>Where a stage keeps what it needs only until it is finished, and its logs.</summary>
    public required string Scratch { get; init; }

    /// <summary>Calibration windows; empty where no stage needs any.</summary>
    public required IReadOnlyList<int[]> Windows { get; init; }

    /// <summary>How forward passes are computed.</summary>
    public required ForwardSettings Forward { get; init; }

    /// <summary>The recipe's seed.</summary>
    public required int Seed { get; init; }

    /// <summary>What is finished.</summary>
    public required Journal Journal { get; init; }

    /// <summary>Takes progress.</summary>
    public required IProgress<RunEvent> Progress { get; init; }

    /// <summary>Checked between sites and batches.</summary>
    public required CancellationToken Cancellation { get; init; }

    /// <summary>What a user would call the stage.</summary>
    public string Title => FormattableString.Invariant(
        $"stage {Number} of {Stages}: {Stage.Method.Attribute.Kind.ToString().ToLowerInvariant()} {Stage.Method.Attribute.Name}");
}
