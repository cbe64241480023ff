namespace Compress.Core.Gates;

/// <summary>One number that a gate watches.</summary>
/// <param name="Value">The number.</param>
/// <param name="StandardError">Its standard error, where it has one.</param>
/// <param name="HigherIsBetter">True for agreement and speed; false for perplexity, divergence, errors and bytes.</param>
public sealed record GateMetric(double Value, double? StandardError = null, bool HigherIsBetter = false);

/// <summary>A watched number as a baseline holds it, with how much worse it may become.</summary>
/// <param name="Value">The number to compare with.</param>
/// <param name="Relative">Allowed change for the worse, as a share of the number.</param>
/// <param name="StandardErrors">
/// Standard errors that are allowed beside it. 0 is right where the same text is scored again: then only rounding differs, and standard errors,
/// which tell of other texts, would hide real damage.
/// </param>
/// <param name="HigherIsBetter">True for agreement and speed.</param>
public sealed record GateLimit(double Value, double Relative, double StandardErrors = 0, bool HigherIsBetter = false);

/// <summary>The comparison of one number.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Baseline">What it was.</param>
/// <param name="Measured">What it is; null where it was not measured any more.</param>
/// <param name="Allowed">Largest allowed change for the worse.</param>
/// <param name="Change">Change for the worse; negative where it became better.</param>
public sealed record GateVerdict(string Name, double Baseline, double? Measured, double Allowed, double Change)
{
    /// <summary>True where the change is allowed.</summary>
    public bool Passed => Measured is not null && Change <= Allowed;

    /// <summary>Change over the baseline.</summary>
    public double RelativeChange => Baseline == 0 ? Change : Change / Math.Abs(Baseline);
}
