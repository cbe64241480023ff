namespace Compress.Runtime.Measuring;

/// <summary>How fast the engine runs a model, and how near it comes to what the machine can do. Property names are the JSON keys.</summary>
public sealed record SpeedResult
{
    /// <summary>Tokens of the prompt.</summary>
    public required int PromptTokens { get; init; }

    /// <summary>Tokens generated, from an empty context.</summary>
    public required int GenerateTokens { get; init; }

    /// <summary>How often each was timed.</summary>
    public required int Repetitions { get; init; }

    /// <summary>Threads that worked.</summary>
    public required int Threads { get; init; }

    /// <summary>Precision of activations in products: <c>8 bits</c> where any quantized weight takes them so, otherwise <c>f32</c>.</summary>
    public required string Activations { get; init; }

    /// <summary>How the weights of an encoded checkpoint run; empty where they are used as the file has them.</summary>
    public IReadOnlyList<Model.EncodingUse> Encodings { get; init; } = [];

    /// <summary>Prompt tokens a second; the median.</summary>
    public required double PromptTokensPerSecond { get; init; }

    /// <summary>The slowest repetition.</summary>
    public required double PromptTokensPerSecondLowest { get; init; }

    /// <summary>The fastest repetition.</summary>
    public required double PromptTokensPerSecondHighest { get; init; }

    /// <summary>Generated tokens a second; the median.</summary>
    public required double GenerateTokensPerSecond { get; init; }

    /// <summary>The slowest repetition.</summary>
    public required double GenerateTokensPerSecondLowest { get; init; }

    /// <summary>The fastest repetition.</summary>
    public required double GenerateTokensPerSecondHighest { get; init; }

    /// <summary>Seconds from the prompt to the first token; the median.</summary>
    public required double TimeToFirstToken { get; init; }

    /// <summary>Seconds that opening the model took.</summary>
    public required double LoadSeconds { get; init; }

    /// <summary>Bytes of weights that a generated token reads: every block and the head, scales and indices included.</summary>
    public required long WeightBytes { get; init; }

    /// <summary>
    /// Multiplications and additions of a prompt token in the linears of all blocks; attention's own and the head, which only the last token
    /// passes, are not counted.
    /// </summary>
    public required double PromptOperationsPerToken { get; init; }

    /// <summary>Highest resident memory of the process up to the end of the timing, mapped pages of the model included.</summary>
    public required long PeakRssBytes { get; init; }

    /// <summary>What the machine can do; null where it was not measured.</summary>
    public MachineRates? Machine { get; init; }

    /// <summary>Weight bytes read a second while generating, over the machine's read rate; null where that was not measured.</summary>
    public double? BandwidthShare => Machine is null ? null : GenerateTokensPerSecond * WeightBytes / Machine.ReadBytesPerSecond;

    /// <summary>Operations a second on the prompt, over the machine's f32 rate. Integer kernels may exceed 1.</summary>
    public double? FloatShare => Machine is null ? null : PromptTokensPerSecond * PromptOperationsPerToken / Machine.FloatOperationsPerSecond;

    /// <summary>Operations a second on the prompt, over the machine's rate for 8-bit integers.</summary>
    public double? IntegerShare =>
        Machine is null ? null : PromptTokensPerSecond * PromptOperationsPerToken / Machine.IntegerOperationsPerSecond;
}
