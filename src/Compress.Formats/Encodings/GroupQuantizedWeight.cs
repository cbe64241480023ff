namespace Compress.Formats.Encodings;

/// <summary>
/// A weight <c>[rows, columns]</c> in integer codes with a scale and zero point for each row and group of columns.
/// Decode: <c>w[r,c] = (code[r,c] − zero[r,g]) · scale[r,g]</c> with <c>g = GroupIndex?[c] ?? c / GroupSize</c>, in f32.
/// </summary>
public sealed record GroupQuantizedWeight
{
    /// <summary>Output features.</summary>
    public required int Rows { get; init; }

    /// <summary>Input features.</summary>
    public required int Columns { get; init; }

    /// <summary>Bits of a code, 2 to 8.</summary>
    public required int Bits { get; init; }

    /// <summary>Columns of a group (the last one may be short); <see cref="Columns"/> for one group a row.</summary>
    public required int GroupSize { get; init; }

    /// <summary>True where every zero point is the middle code 2^(bits−1).</summary>
    public required bool Symmetric { get; init; }

    /// <summary>Unsigned codes, one a byte, row-major <c>[rows, columns]</c>, each below 2^bits.</summary>
    public required byte[] Codes { get; init; }

    /// <summary>Scales, row-major <c>[rows, groups]</c>, exactly representable in <see cref="ScaleType"/>.</summary>
    public required float[] Scales { get; init; }

    /// <summary>Zero points, row-major <c>[rows, groups]</c>, integers in 0 … 2^bits (inclusive only where a format allows it).</summary>
    public required int[] Zeros { get; init; }

    /// <summary>How scales are stored: F16, BF16 or F32.</summary>
    public required Checkpoints.ElementType ScaleType { get; init; }

    /// <summary>Group of each column (activation order without static groups), or null for consecutive groups.</summary>
    public int[]? GroupIndex { get; init; }

    /// <summary>Groups of a row.</summary>
    public int Groups => (Columns + GroupSize - 1) / GroupSize;

    /// <summary>Decodes one row: the encoding's exact meaning, to which every kernel and exporter is held.</summary>
    /// <param name="row">Row number.</param>
    /// <param name="destination">Takes <see cref="Columns"/> values.</param>
    public void DecodeRow(int row, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(destination.Length, Columns, nameof(destination));
        var codes = Codes.AsSpan(checked(row * Columns), Columns);
        var scales = Scales.AsSpan(row * Groups, Groups);
        var zeros = Zeros.AsSpan(row * Groups, Groups);
        if (GroupIndex is { } groupOf)
        {
            for (var c = 0; c < codes.Length; c++) destination[c] = (codes[c] - zeros[groupOf[c]]) * scales[groupOf[c]];
            return;
        }
        for (var (g, first) = (0, 0); g < scales.Length; g++, first += GroupSize)
        {
            var (zero, scale) = (zeros[g], scales[g]);
            var last = Math.Min(first + GroupSize, codes.Length);
            for (var c = first; c < last; c++) destination[c] = (codes[c] - zero) * scale;
        }
    }
}
