namespace Compress.Core.Progress;

/// <summary>Something that happened in a long operation. The terminal, the log file and reports are listeners (<c>IProgress&lt;RunEvent&gt;</c>).</summary>
public abstract record RunEvent;

/// <summary>A part of the work began.</summary>
/// <param name="Name">What a user would call it, e.g. <c>stage 2 of 2: quantize gptq</c>.</param>
/// <param name="Total">Units of work in it, or null where unknown.</param>
/// <param name="Unit">Plural name of a unit: <c>sites</c>, <c>windows</c>, <c>tokens</c>.</param>
public sealed record PhaseStarted(string Name, long? Total, string Unit) : RunEvent;

/// <summary>The current part advanced.</summary>
/// <param name="Done">Units done since it began.</param>
/// <param name="Detail">What was just done, e.g. a site name with its error, or null.</param>
public sealed record PhaseAdvanced(long Done, string? Detail = null) : RunEvent;

/// <summary>The current part ended.</summary>
/// <param name="Summary">One line worth keeping, or null.</param>
public sealed record PhaseEnded(string? Summary = null) : RunEvent;

/// <summary>Something the user should know although the work goes on.</summary>
/// <param name="Text">A full sentence.</param>
public sealed record Warning(string Text) : RunEvent;
