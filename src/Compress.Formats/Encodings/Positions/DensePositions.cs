namespace Compress.Formats.Encodings.Positions;

/// <summary>Every element is stored.</summary>
/// <param name="rows">Output features.</param>
/// <param name="columns">Input features.</param>
public sealed class DensePositions(int rows, int columns) : WeightPositions(rows, columns)
{
    internal const string Name = "dense";

    /// <inheritdoc/>
    public override string Kind => Name;

    /// <inheritdoc/>
    public override long StoredBytes => 0;

    /// <inheritdoc/>
    public override int First(int row) => row * Columns;

    /// <inheritdoc/>
    public override int Read(int row, Span<int> columns)
    {
        for (var c = 0; c < Columns; c++) columns[c] = c;
        return Columns;
    }

    internal override IEnumerable<StoredPart> Parts() => [];
}
