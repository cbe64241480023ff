using System.Numerics;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Encodings.Positions;

/// <summary>
/// One bit for each element says whether it is stored (Joo et al., "Endor", arXiv 2406.11674). Rows begin at whole bytes; bit i of byte k
/// is column 8k + i.
/// </summary>
public sealed class BitmapPositions : WeightPositions
{
    internal const string Name = "bitmap";

    private const string BitsPart = "bitmap";

    private readonly int[] first;

    /// <summary>Takes a bitmap.</summary>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    /// <param name="bits">The bitmap, <see cref="RowBytes"/> for each row; bits beyond the columns are 0.</param>
    /// <exception cref="ArgumentException">The bitmap has another size, or bits beyond the columns.</exception>
    public BitmapPositions(int rows, int columns, byte[] bits) : base(rows, columns)
    {
        Bits = bits;
        var width = RowBytes(columns);
        if (bits.Length != rows * width) throw new ArgumentException($"a bitmap has {rows * width} bytes, not {bits.Length}", nameof(bits));
        first = new int[rows + 1];
        for (var row = 0; row < rows; row++)
        {
            var line = bits.AsSpan(row * width, width);
            if (columns % 8 != 0 && line[^1] >> (columns % 8) != 0)
                throw new ArgumentException($"row {row} of the bitmap marks a column beyond {columns}", nameof(bits));
            var count = 0;
            foreach (var part in line) count += BitOperations.PopCount(part);
            first[row + 1] = first[row] + count;
        }
    }

    /// <summary>The bitmap, row-major.</summary>
    public byte[] Bits { get; }

    /// <inheritdoc/>
    public override string Kind => Name;

    /// <inheritdoc/>
    public override long StoredBytes => Bits.Length;

    /// <summary>Bytes of a row of the bitmap.</summary>
    /// <param name="columns">Input features.</param>
    public static int RowBytes(int columns) => (int)(((long)columns + 7) / 8);

    /// <summary>The elements of a weight that do not decode to zero; −0 is zero.</summary>
    /// <param name="weight">The weight.</param>
    public static BitmapPositions OfNonZeros(EncodedWeight weight)
    {
        var (width, bits) = (RowBytes(weight.Columns), new byte[weight.Rows * RowBytes(weight.Columns)]);
        Parallel.For(0, weight.Rows, () => new float[weight.Columns], (row, _, line) =>
        {
            weight.DecodeRow(row, line);
            for (var c = 0; c < line.Length; c++)
            {
                if (line[c] != 0) bits[row * width + c / 8] |= (byte)(1 << (c % 8));
            }
            return line;
        }, _ => { });
        return new BitmapPositions(weight.Rows, weight.Columns, bits);
    }

    /// <inheritdoc/>
    public override int First(int row) => first[row];

    /// <inheritdoc/>
    public override int Read(int row, Span<int> columns)
    {
        var (width, count) = (RowBytes(Columns), 0);
        for (var k = 0; k < width; k++)
        {
            for (var left = (uint)Bits[row * width + k]; left != 0; left &= left - 1)
                columns[count++] = 8 * k + BitOperations.TrailingZeroCount(left);
        }
        return count;
    }

    internal override IEnumerable<StoredPart> Parts() => [new(BitsPart, ElementType.U8, [Rows, RowBytes(Columns)], Bits)];

    internal static BitmapPositions Read(StoredParts parts, int rows, int columns) =>
        new(rows, columns, parts.Raw(BitsPart, ElementType.U8, rows, RowBytes(columns)));
}
