namespace Compress.Formats.Encodings;

/// <summary>
/// A weight <c>[rows, columns]</c> (output by input features) in some encoding. Whatever stores it, <see cref="DecodeRow"/> is its one
/// exact meaning, to which every kernel and exporter is held.
/// </summary>
public abstract record EncodedWeight
{
    /// <summary>Output features.</summary>
    public required int Rows { get; init; }

    /// <summary>Input features.</summary>
    public required int Columns { get; init; }

    /// <summary>Bytes that the weight takes when stored by <see cref="EncodedFormat"/>: codes, positions, scales, zero points, tables
    /// and the padding of each to whole bytes.</summary>
    public abstract long StoredBytes { get; }

    /// <summary>Bits of a code; null where values are floats.</summary>
    public abstract int? CodeBits { get; }

    /// <summary>The encoding in words: <c>bitmap of 4-bit integers</c>.</summary>
    public abstract string Summary { get; }

    /// <summary>Decodes one row exactly, in f32.</summary>
    /// <param name="row">Row number.</param>
    /// <param name="destination">Takes <see cref="Columns"/> values.</param>
    public abstract void DecodeRow(int row, Span<float> destination);

    /// <summary>Decodes the whole weight, on all cores.</summary>
    /// <param name="destination">Takes <see cref="Rows"/> × <see cref="Columns"/> values, row-major.</param>
    public unsafe void Decode(Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(destination.Length, (long)Rows * Columns, nameof(destination));
        fixed (float* start = destination)
        {
            // A span cannot enter a lambda; the memory stays fixed until the loop is over.
            var address = (nint)start;
            Parallel.For(0, Rows, row => DecodeRow(row, new Span<float>((float*)address + ((long)row * Columns), Columns)));
        }
    }
}
