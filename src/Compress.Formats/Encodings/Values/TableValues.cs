using System.Globalization;
using System.Text.Json.Nodes;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings.Positions;

namespace Compress.Formats.Encodings.Values;

/// <summary>Codes of 1 to 8 bits into a table of each row (Kim et al., "SqueezeLLM", arXiv 2306.07629, section 4.1).</summary>
public sealed class TableValues : WeightValues
{
    internal const string Name = "table";

    private const string CodePart = "codes", TablePart = "tables";

    /// <summary>Takes codes and tables.</summary>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <param name="codes">A code for each stored element.</param>
    /// <param name="tables">Values, <c>[rows, 2^bits]</c>, exactly representable in <paramref name="tableType"/>.</param>
    /// <param name="tableType">How table entries are stored: F16, BF16 or F32.</param>
    /// <exception cref="ArgumentException">Bits or codes are out of range.</exception>
    public TableValues(int bits, byte[] codes, float[] tables, ElementType tableType)
    {
        if (bits is < 1 or > 8) throw new ArgumentException($"codes have 1 to 8 bits, not {bits}", nameof(bits));
        if (codes.AsSpan().ContainsAnyExceptInRange((byte)0, (byte)((1 << bits) - 1)))
            throw new ArgumentException($"a code has more than {bits} bits", nameof(codes));
        (Bits, Codes, Tables, TableType) = (bits, codes, tables, tableType);
    }

    /// <summary>Bits of a code.</summary>
    public int Bits { get; }

    /// <summary>A code for each stored element.</summary>
    public byte[] Codes { get; }

    /// <summary>Values, <c>[rows, 2^bits]</c>.</summary>
    public float[] Tables { get; }

    /// <summary>How table entries are stored.</summary>
    public ElementType TableType { get; }

    /// <inheritdoc/>
    public override int Count => Codes.Length;

    /// <inheritdoc/>
    public override string Kind => Name;

    /// <inheritdoc/>
    public override string Summary => string.Create(CultureInfo.InvariantCulture, $"{Bits}-bit tables");

    /// <inheritdoc/>
    public override int ElementBits => Bits;

    /// <inheritdoc/>
    public override long StoredBytes => ((long)Codes.Length * Bits + 7) / 8 + (long)Tables.Length * TableType.Bits() / 8;

    /// <inheritdoc/>
    public override string? Unfit(int rows, int columns) => Tables.Length != (long)rows << Bits
        ? $"{Tables.Length} table entries do not fit {rows} rows of {Bits} bits" : null;

    /// <inheritdoc/>
    public override void Decode(int row, int first, ReadOnlySpan<int> columns, Span<float> destination)
    {
        var table = Tables.AsSpan(row << Bits, 1 << Bits);
        for (var i = 0; i < destination.Length; i++) destination[i] = table[Codes[first + i]];
    }

    /// <inheritdoc/>
    public override TableValues Pick(ReadOnlySpan<int> numbers) => new(Bits, Pick(Codes, numbers), Tables, TableType);

    internal override JsonObject Describe() => new() { ["kind"] = Kind, ["bits"] = Bits };

    internal override IEnumerable<StoredPart> Parts(int rows, int columns) =>
        [CodesPart(CodePart, Codes, Bits), StoredPart.Floats(TablePart, TableType, Tables, rows, 1 << Bits)];

    internal static TableValues Read(QuantizationConfigReader config, StoredParts parts, WeightPositions positions)
    {
        var bits = config.Integer("bits", 1, 8);
        var (tables, type) = parts.Floats(TablePart, positions.Rows, 1 << bits);
        return new TableValues(bits, ReadCodes(parts, CodePart, bits, positions.Count), tables, type);
    }
}
