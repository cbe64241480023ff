using System.Globalization;
using System.Numerics;
using System.Text.Json.Nodes;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Encodings.Positions;

/// <summary>
/// N of every M consecutive columns are stored (2:4 and its kin); a short last group stores min(N, its columns). A stored element's
/// place in its group takes ⌈log2 M⌉ bits.
/// </summary>
public sealed class PeriodicPositions : WeightPositions
{
    internal const string Name = "n_of_m";

    private const string PlacesPart = "places";

    /// <summary>Largest group.</summary>
    public const int LargestGroup = 256;

    /// <summary>Takes places.</summary>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    /// <param name="kept">N, at least 1.</param>
    /// <param name="group">M, above N and at most <see cref="LargestGroup"/>.</param>
    /// <param name="places">Place of each stored element in its group, strictly ascending within a group.</param>
    /// <exception cref="ArgumentException">N and M do not go together, or places are out of range, order or number.</exception>
    public PeriodicPositions(int rows, int columns, int kept, int group, byte[] places) : base(rows, columns)
    {
        if (Unfit(kept, group) is { } reason) throw new ArgumentException(reason, nameof(group));
        (Kept, Group, Places) = (kept, group, places);
        InRow = RowCount(columns, kept, group);
        if (places.Length != (long)rows * InRow) throw new ArgumentException($"{places.Length} places; {(long)rows * InRow} are expected", nameof(places));
        for (var (row, at) = (0, 0); row < rows; row++)
        {
            for (var start = 0; start < columns; start += group)
            {
                var (last, width) = (-1, Math.Min(group, columns - start));
                for (var i = Math.Min(kept, width); i > 0; i--, at++)
                {
                    if (places[at] <= last || places[at] >= width)
                        throw new ArgumentException($"row {row} has place {places[at]} after {last} in a group of {width}", nameof(places));
                    last = places[at];
                }
            }
        }
    }

    /// <summary>N: stored elements of a group.</summary>
    public int Kept { get; }

    /// <summary>M: columns of a group.</summary>
    public int Group { get; }

    /// <summary>Stored elements of a row.</summary>
    public int InRow { get; }

    /// <summary>Place of each stored element in its group.</summary>
    public byte[] Places { get; }

    /// <summary>Bits of a place.</summary>
    public int PlaceBits => BitsOf(Group);

    /// <inheritdoc/>
    public override string Kind => Name;

    /// <inheritdoc/>
    public override string Summary => string.Create(CultureInfo.InvariantCulture, $"{Kept}:{Group}");

    /// <inheritdoc/>
    public override long StoredBytes => ((long)Places.Length * PlaceBits + 7) / 8;

    /// <summary>Bits of a place in groups of M.</summary>
    /// <param name="group">M.</param>
    public static int BitsOf(int group) => BitOperations.Log2((uint)group - 1) + 1;

    /// <summary>Says why N and M do not go together; null where they do.</summary>
    /// <param name="kept">N.</param>
    /// <param name="group">M.</param>
    public static string? Unfit(int kept, int group) => kept < 1 || group <= kept || group > LargestGroup
        ? $"{kept}:{group} is not 1 … M − 1 of M up to {LargestGroup}" : null;

    /// <summary>Stored elements of a row.</summary>
    /// <param name="columns">Input features.</param>
    /// <param name="kept">N.</param>
    /// <param name="group">M.</param>
    public static int RowCount(int columns, int kept, int group) => columns / group * kept + Math.Min(kept, columns % group);

    /// <summary>The positions of another structure, with further elements where a group has fewer than N.</summary>
    /// <param name="positions">The structure.</param>
    /// <param name="kept">N.</param>
    /// <param name="group">M.</param>
    /// <returns>Null where a group has more than N elements.</returns>
    public static PeriodicPositions? From(WeightPositions positions, int kept, int group)
    {
        var places = new byte[positions.Rows * RowCount(positions.Columns, kept, group)];
        var (line, marks, at) = (new int[positions.Columns], new bool[group], 0);
        for (var row = 0; row < positions.Rows; row++)
        {
            var (next, stored) = (0, positions.Read(row, line));
            for (var start = 0; start < positions.Columns; start += group)
            {
                var width = Math.Min(group, positions.Columns - start);
                var quota = Math.Min(kept, width);
                Array.Clear(marks);
                for (; next < stored && line[next] < start + width; next++, quota--) marks[line[next] - start] = true;
                if (quota < 0) return null;
                for (var i = 0; i < width && quota > 0; i++)
                {
                    if (marks[i]) continue;
                    marks[i] = true;
                    quota--;
                }
                for (var i = 0; i < width; i++)
                {
                    if (marks[i]) places[at++] = (byte)i;
                }
            }
        }
        return new PeriodicPositions(positions.Rows, positions.Columns, kept, group, places);
    }

    /// <inheritdoc/>
    public override int First(int row) => row * InRow;

    /// <inheritdoc/>
    public override int Read(int row, Span<int> columns)
    {
        var places = Places.AsSpan(row * InRow, InRow);
        for (var i = 0; i < places.Length; i++) columns[i] = i / Kept * Group + places[i];
        return places.Length;
    }

    internal override JsonObject Describe() => new() { ["kind"] = Kind, ["kept"] = Kept, ["of"] = Group };

    internal override IEnumerable<StoredPart> Parts()
    {
        var packed = BitPacking.PackBytes(Places, PlaceBits);
        yield return new StoredPart(PlacesPart, ElementType.U8, [packed.Length], packed);
    }

    internal static PeriodicPositions Read(QuantizationConfigReader config, StoredParts parts, int rows, int columns)
    {
        var group = config.Integer("of", 2, LargestGroup);
        var kept = config.Integer("kept", 1, group - 1);
        var (count, bits) = (rows * RowCount(columns, kept, group), BitsOf(group));
        var packed = parts.Raw(PlacesPart, ElementType.U8, BitPacking.ByteCount(count, bits));
        return new PeriodicPositions(rows, columns, kept, group, BitPacking.UnpackBytes(packed, bits, count));
    }
}
