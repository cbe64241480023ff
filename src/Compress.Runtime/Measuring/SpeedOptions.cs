namespace Compress.Runtime.Measuring;

/// <summary>What is timed.</summary>
public sealed record SpeedOptions
{
    /// <summary>Tokens of the prompt.</summary>
    public int Prompt { get; init; } = 512;

    /// <summary>Tokens generated.</summary>
    public int Generate { get; init; } = 128;

    /// <summary>How often each is timed.</summary>
    public int Repetitions { get; init; } = 5;
}
