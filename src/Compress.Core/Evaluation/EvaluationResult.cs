namespace Compress.Core.Evaluation;

/// <summary>What an evaluation measured, with everything that a reader needs to know to compare the numbers.</summary>
/// <remarks>
/// Formulas: <c>docs/evaluation.md</c>. Values that need the original model are null where none was given. Property names turn
/// into the report's JSON keys by the snake-case rule (<c>kl_mean</c>, <c>top1_agreement</c>).
/// </remarks>
public sealed record EvaluationResult
{
    /// <summary>Name of the protocol: <c>gptq</c>, <c>llama_cpp</c>, …</summary>
    public required string Protocol { get; init; }

    /// <summary>What was tokenised: file name as given.</summary>
    public required string Dataset { get; init; }

    /// <summary>SHA-256, lower-case hexadecimal, of the UTF-8 text that was tokenised.</summary>
    public required string DatasetSha256 { get; init; }

    /// <summary>Tokens of a window (of the longest one, where documents are scored one by one).</summary>
    public required int Window { get; init; }

    /// <summary>Tokens from the beginning of a window to that of the next; null where documents are scored one by one.</summary>
    public required int? Stride { get; init; }

    /// <summary>True where windows hold a beginning-of-sequence token, as the protocol places it.</summary>
    public required bool BeginningOfSequence { get; init; }

    /// <summary>Number of windows scored.</summary>
    public required int Windows { get; init; }

    /// <summary>Number of tokens scored: the count behind every mean below.</summary>
    public required long Tokens { get; init; }

    /// <summary>Tokens of the whole text, scored or not.</summary>
    public required long TextTokens { get; init; }

    /// <summary>UTF-8 bytes of the text that the scored tokens stand for; null where unknown.</summary>
    public required long? Bytes { get; init; }

    /// <summary>Arithmetic of the forward pass: <c>f32</c>, <c>bf16</c>, or <c>8-bit activations</c> in products with quantized weights. Log-probabilities are f32, sums f64, always.</summary>
    public required string Precision { get; init; }

    /// <summary>What computed the logits: <c>torch/cpu</c>, <c>torch/cuda</c> or <c>runtime</c>, the engine in C#.</summary>
    public required string Engine { get; init; }

    /// <summary>Mean negative log-likelihood of the scored tokens, in nats.</summary>
    public required double MeanNll { get; init; }

    /// <summary><c>exp(<see cref="MeanNll"/>)</c>.</summary>
    public required double Perplexity { get; init; }

    /// <summary>Standard error of <see cref="Perplexity"/>, tokens taken as independent.</summary>
    public required double PerplexityStandardError { get; init; }

    /// <summary>Bits that the model needs for a byte of the scored text: <c>Σ nll / (ln 2 · <see cref="Bytes"/>)</c>; null where bytes are unknown.</summary>
    public required double? BitsPerByte { get; init; }

    /// <summary>The original's perplexity on the same tokens.</summary>
    public double? ReferencePerplexity { get; init; }

    /// <summary>Standard error of <see cref="ReferencePerplexity"/>.</summary>
    public double? ReferencePerplexityStandardError { get; init; }

    /// <summary>The original's bits per byte on the same tokens.</summary>
    public double? ReferenceBitsPerByte { get; init; }

    /// <summary><see cref="Perplexity"/> / <see cref="ReferencePerplexity"/>.</summary>
    public double? PerplexityRatio { get; init; }

    /// <summary>Standard error of <see cref="PerplexityRatio"/> from the paired differences, so far below that of either perplexity.</summary>
    public double? PerplexityRatioStandardError { get; init; }

    /// <summary>Mean over scored tokens of KL(original ‖ model), in nats.</summary>
    public double? KlMean { get; init; }

    /// <summary>Standard error of <see cref="KlMean"/>.</summary>
    public double? KlMeanStandardError { get; init; }

    /// <summary>Median of the KL divergence.</summary>
    public double? KlMedian { get; init; }

    /// <summary>99th percentile of the KL divergence.</summary>
    public double? KlP99 { get; init; }

    /// <summary>99.9th percentile of the KL divergence.</summary>
    public double? KlP999 { get; init; }

    /// <summary>Largest KL divergence of a scored token.</summary>
    public double? KlMax { get; init; }

    /// <summary>Share of scored positions where both models' most likely token is the same.</summary>
    public double? Top1Agreement { get; init; }

    /// <summary>Binomial standard error of <see cref="Top1Agreement"/>: <c>sqrt(p(1 − p) / (n − 1))</c>.</summary>
    public double? Top1AgreementStandardError { get; init; }
}
