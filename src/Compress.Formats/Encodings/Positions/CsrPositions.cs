using System.Runtime.InteropServices;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Encodings.Positions;

/// <summary>
/// Compressed sparse rows: where each row begins among the stored elements, and the column of each. Columns take 16 bits where there are
/// at most 65536.
/// </summary>
public sealed class CsrPositions : WeightPositions
{
    internal const string Name = "csr";

    private const string OffsetsPart = "row_offsets", ColumnsPart = "columns";

    /// <summary>Takes offsets and columns.</summary>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    /// <param name="rowOffsets">Number of stored elements before each row, and that of all: <c>[rows + 1]</c>.</param>
    /// <param name="columnIndex">Columns, strictly ascending within a row.</param>
    /// <exception cref="ArgumentException">Offsets decrease or do not fit the columns; columns are out of range or order.</exception>
    public CsrPositions(int rows, int columns, int[] rowOffsets, int[] columnIndex) : base(rows, columns)
    {
        if (rowOffsets.Length != rows + 1) throw new ArgumentException($"{rowOffsets.Length} row offsets do not fit {rows} rows", nameof(rowOffsets));
        if (rowOffsets[0] != 0 || rowOffsets[^1] != columnIndex.Length)
            throw new ArgumentException($"row offsets do not run from 0 to the {columnIndex.Length} columns", nameof(rowOffsets));
        for (var row = 0; row < rows; row++)
        {
            if (rowOffsets[row + 1] < rowOffsets[row] || rowOffsets[row + 1] > columnIndex.Length)
                throw new ArgumentException($"row offsets decrease or leave the columns after row {row}", nameof(rowOffsets));
            var last = -1;
            foreach (var c in columnIndex.AsSpan(rowOffsets[row]..rowOffsets[row + 1]))
            {
                if (c <= last || c >= columns)
                    throw new ArgumentException($"row {row} has column {c} after {last} of {columns}", nameof(columnIndex));
                last = c;
            }
        }
        (RowOffsets, ColumnIndex) = (rowOffsets, columnIndex);
    }

    /// <summary>Number of stored elements before each row, and that of all.</summary>
    public int[] RowOffsets { get; }

    /// <summary>Column of each stored element.</summary>
    public int[] ColumnIndex { get; }

    /// <inheritdoc/>
    public override string Kind => Name;

    /// <inheritdoc/>
    public override long StoredBytes => 4L * RowOffsets.Length + (long)ColumnIndex.Length * (NarrowColumns(Columns) ? 2 : 4);

    /// <summary>Whether columns are stored in 16 bits.</summary>
    /// <param name="columns">Input features.</param>
    public static bool NarrowColumns(int columns) => columns <= 1 << 16;

    /// <summary>The positions of another structure.</summary>
    /// <param name="positions">The structure.</param>
    public static CsrPositions From(WeightPositions positions)
    {
        var (offsets, index) = (new int[positions.Rows + 1], new int[positions.Count]);
        var line = new int[positions.Columns];
        for (var row = 0; row < positions.Rows; row++)
        {
            var count = positions.Read(row, line);
            line.AsSpan(0, count).CopyTo(index.AsSpan(offsets[row]));
            offsets[row + 1] = offsets[row] + count;
        }
        return new CsrPositions(positions.Rows, positions.Columns, offsets, index);
    }

    /// <inheritdoc/>
    public override int First(int row) => RowOffsets[row];

    /// <inheritdoc/>
    public override int Read(int row, Span<int> columns)
    {
        var line = ColumnIndex.AsSpan(RowOffsets[row]..RowOffsets[row + 1]);
        line.CopyTo(columns);
        return line.Length;
    }

    internal override IEnumerable<StoredPart> Parts()
    {
        yield return new StoredPart(OffsetsPart, ElementType.I32, [RowOffsets.Length], MemoryMarshal.AsBytes<int>(RowOffsets).ToArray());
        yield return NarrowColumns(Columns)
            ? new StoredPart(ColumnsPart, ElementType.U16, [Count], MemoryMarshal.AsBytes<ushort>(Array.ConvertAll(ColumnIndex, c => (ushort)c)).ToArray())
            : new StoredPart(ColumnsPart, ElementType.I32, [Count], MemoryMarshal.AsBytes<int>(ColumnIndex).ToArray());
    }

    internal static CsrPositions Read(StoredParts parts, int rows, int columns)
    {
        var offsets = parts.Integers(OffsetsPart, (long)rows + 1);
        var count = parts.Length(ColumnsPart);
        var index = NarrowColumns(columns)
            ? Array.ConvertAll(MemoryMarshal.Cast<byte, ushort>(parts.Raw(ColumnsPart, ElementType.U16, count)).ToArray(), c => (int)c)
            : parts.Integers(ColumnsPart, count);
        return new CsrPositions(rows, columns, offsets, index);
    }
}
