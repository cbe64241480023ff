using TorchSharp;

namespace Compress.Core.Evaluation;

/// <summary>How an evaluation is computed. None but <see cref="Window"/>, <see cref="MaxWindows"/> and <see cref="Precision"/> changes its numbers beyond rounding.</summary>
public sealed record EvaluationOptions
{
    /// <summary>Tokens of a window; null for the protocol's default.</summary>
    public int? Window { get; init; }

    /// <summary>Score at most this many windows, the first ones; null for all.</summary>
    public int? MaxWindows { get; init; }

    /// <summary>Arithmetic of matrix products in blocks and head: Float32, or BFloat16 for speed at the price of some noise.</summary>
    public torch.ScalarType Precision { get; init; } = torch.ScalarType.Float32;

    /// <summary>Where to compute; null for the CPU.</summary>
    public torch.Device? Device { get; init; }

    /// <summary>
    /// Most bytes of hidden states held for all models together. Windows that do not fit go through the blocks in a further round, for
    /// which the weights are read again; one window per model is always held.
    /// </summary>
    public long HiddenStateBytes { get; init; } = 256L << 20;

    /// <summary>Most bytes of one model's head weights held at a time, in f32: a larger vocabulary is scored in slices.</summary>
    public long HeadBytes { get; init; } = 64L << 20;
}
