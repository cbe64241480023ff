using TorchSharp;

namespace Compress.Core.Runs;

/// <summary>What a run is told besides its recipe.</summary>
public sealed record RunOptions
{
    /// <summary>The run folder; usually <c>runs/&lt;name&gt;</c>.</summary>
    public required string OutputFolder { get; init; }

    /// <summary>Go on with the run that the folder holds; begins one where there is none yet.</summary>
    public bool Resume { get; init; }

    /// <summary>Arithmetic of calibration's forward passes; null for what the recipe says.</summary>
    public torch.ScalarType? Precision { get; init; }
}
