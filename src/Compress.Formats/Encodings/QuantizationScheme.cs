using Compress.Formats.Checkpoints;

namespace Compress.Formats.Encodings;

/// <summary>How a weight is quantized, without its values: what a checkpoint's configuration and headers need to know.</summary>
/// <param name="Bits">Bits of a code, 2 to 8.</param>
/// <param name="GroupSize">Columns that share a scale; null for one scale a row.</param>
/// <param name="Symmetric">True where no zero points are stored.</param>
/// <param name="ActivationOrder">True where each column names its group.</param>
/// <param name="ScaleType">How scales are stored: F16, BF16 or F32.</param>
/// <param name="ZeroFraction">Binary digits of zero points behind the point.</param>
public sealed record QuantizationScheme(
    int Bits, int? GroupSize, bool Symmetric, bool ActivationOrder, ElementType ScaleType, int ZeroFraction = 0)
{
    /// <summary>The scheme of a quantized weight.</summary>
    /// <param name="weight">The weight.</param>
    public static QuantizationScheme Of(GroupQuantizedWeight weight) => new(
        weight.Bits,
        weight.GroupSize >= weight.Columns ? null : weight.GroupSize,
        weight.Symmetric,
        weight.GroupIndex is not null,
        weight.ScaleType,
        weight.ZeroFraction);

    /// <summary>Groups of a row of <paramref name="columns"/> columns.</summary>
    /// <param name="columns">Columns of the weight.</param>
    public int Groups(int columns) => GroupSize is { } size ? (int)(((long)columns + size - 1) / size) : 1;
}

/// <summary>How a weight is quantized with a table of values for each row, without these values.</summary>
/// <param name="Bits">Bits of a code.</param>
/// <param name="Outliers">Share of the weights that is stored apart, in compressed rows.</param>
public sealed record CodebookScheme(int Bits, double Outliers)
{
    /// <summary>Bytes of a weight with tables and outliers in F16.</summary>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    public long Bytes(int rows, int columns)
    {
        var apart = (long)(Outliers * rows * columns);
        var index = Positions.CsrPositions.NarrowColumns(columns) ? 2 : 4;
        return ((long)rows * columns * Bits + 7) / 8 + ((2L * rows) << Bits) + (apart == 0 ? 0 : 4L * (rows + 1) + apart * (index + 2));
    }
}

/// <summary>A tensor ready to be written.</summary>
/// <param name="Info">Name, type and shape.</param>
/// <param name="Bytes">Little-endian row-major data.</param>
public sealed record PackedTensor(TensorInfo Info, byte[] Bytes);
