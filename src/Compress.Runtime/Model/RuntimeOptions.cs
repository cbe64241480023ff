namespace Compress.Runtime.Model;

/// <summary>How a model is run.</summary>
public sealed record RuntimeOptions
{
    /// <summary>Threads to use; null for all cores.</summary>
    public int? Threads { get; init; }

    /// <summary>Precision of the activations that quantized weights are multiplied with.</summary>
    public ActivationPrecision Activations { get; init; } = ActivationPrecision.Quantized;
}

/// <summary>Precision of activations in products with quantized weights. Dense weights always take floats.</summary>
public enum ActivationPrecision
{
    /// <summary>8 bits, a step for each token and 32 inputs: several times as fast, at a loss far below that of 4-bit weights.</summary>
    Quantized,

    /// <summary>f32: weights are decoded exactly and no activation is rounded.</summary>
    Full,
}
