using Compress.Formats.Checkpoints;

namespace Compress.Formats.Encodings;

/// <summary>How a weight is quantized, without its values: what a checkpoint's configuration and headers need to know.</summary>
/// <param name="Bits">Bits of a code, 2 to 8.</param>
/// <param name="GroupSize">Columns that share a scale; null for one scale a row.</param>
/// <param name="Symmetric">True where no zero points are stored.</param>
/// <param name="ActivationOrder">True where each column names its group.</param>
/// <param name="ScaleType">How scales are stored: F16, BF16 or F32.</param>
public sealed record QuantizationScheme(int Bits, int? GroupSize, bool Symmetric, bool ActivationOrder, ElementType ScaleType)
{
    /// <summary>The scheme of a quantized weight.</summary>
    /// <param name="weight">The weight.</param>
    public static QuantizationScheme Of(GroupQuantizedWeight weight) => new(
        weight.Bits,
        weight.GroupSize >= weight.Columns ? null : weight.GroupSize,
        weight.Symmetric,
        weight.GroupIndex is not null,
        weight.ScaleType);

    /// <summary>Groups of a row of <paramref name="columns"/> columns.</summary>
    /// <param name="columns">Columns of the weight.</param>
    public int Groups(int columns) => GroupSize is { } size ? (int)(((long)columns + size - 1) / size) : 1;
}

/// <summary>A tensor ready to be written.</summary>
/// <param name="Info">Name, type and shape.</param>
/// <param name="Bytes">Little-endian row-major data.</param>
public sealed record PackedTensor(TensorInfo Info, byte[] Bytes);
