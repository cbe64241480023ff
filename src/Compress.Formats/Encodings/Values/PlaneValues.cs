using System.Globalization;
using System.Text.Json.Nodes;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings.Positions;

namespace Compress.Formats.Encodings.Values;

/// <summary>
/// Nested codes (Park et al., "Any-Precision LLM", arXiv 2402.10517): the first b bits of a code are its code at b bits, with a table of
/// each row for every b. Stored as bit planes, the most significant first, so that b bits are read without touching the rest.
/// </summary>
public sealed class PlaneValues : WeightValues
{
    internal const string Name = "planes";

    private const string PlanePart = "planes", TablePart = "tables_";

    private readonly float[][] tables;

    /// <summary>Takes codes of the highest precision and the tables of all.</summary>
    /// <param name="seedBits">Lowest precision, at least 1.</param>
    /// <param name="codes">A code of the highest precision for each stored element.</param>
    /// <param name="tables">Tables <c>[rows, 2^b]</c> for b from <paramref name="seedBits"/> upwards, at least one.</param>
    /// <param name="tableType">How table entries are stored: F16, BF16 or F32.</param>
    /// <param name="precision">Bits at which the weight decodes; null for the highest.</param>
    /// <exception cref="ArgumentException">Precisions or codes are out of range.</exception>
    public PlaneValues(int seedBits, byte[] codes, IReadOnlyList<float[]> tables, ElementType tableType, int? precision = null)
    {
        (SeedBits, ParentBits) = (seedBits, seedBits + tables.Count - 1);
        if (seedBits < 1 || tables.Count == 0 || ParentBits > 8)
            throw new ArgumentException($"precisions from {seedBits} to {ParentBits} are not within 1 to 8", nameof(tables));
        Precision = precision ?? ParentBits;
        if (Precision < SeedBits || Precision > ParentBits)
            throw new ArgumentException($"there are {SeedBits} to {ParentBits} bits, not {Precision}", nameof(precision));
        if (codes.AsSpan().ContainsAnyExceptInRange((byte)0, (byte)((1 << ParentBits) - 1)))
            throw new ArgumentException($"a code has more than {ParentBits} bits", nameof(codes));
        (Codes, TableType) = (codes, tableType);
        this.tables = [.. tables];
    }

    /// <summary>Lowest precision.</summary>
    public int SeedBits { get; }

    /// <summary>Highest precision.</summary>
    public int ParentBits { get; }

    /// <summary>Bits at which the weight decodes.</summary>
    public int Precision { get; }

    /// <summary>A code of the highest precision for each stored element.</summary>
    public byte[] Codes { get; }

    /// <summary>How table entries are stored.</summary>
    public ElementType TableType { get; }

    /// <inheritdoc/>
    public override int Count => Codes.Length;

    /// <inheritdoc/>
    public override string Kind => Name;

    /// <inheritdoc/>
    public override int ElementBits => ParentBits;

    /// <summary>Bytes of all planes and tables.</summary>
    public override long StoredBytes => (long)ParentBits * PlaneBytes + tables.Sum(t => (long)t.Length) * TableType.Bits() / 8;

    /// <summary>Bytes that decoding at <see cref="Precision"/> reads: its planes and its table.</summary>
    public long ReadBytes => (long)Precision * PlaneBytes + (long)Tables(Precision).Length * TableType.Bits() / 8;

    /// <summary>Bytes of one plane.</summary>
    public int PlaneBytes => BitPacking.ByteCount(Count, 1);

    /// <summary>Tables <c>[rows, 2^bits]</c> of a precision.</summary>
    /// <param name="bits">The precision.</param>
    public float[] Tables(int bits) => tables[bits - SeedBits];

    /// <summary>The same weight decoded at another precision.</summary>
    /// <param name="bits">The precision.</param>
    /// <exception cref="ArgumentException">There is no such precision.</exception>
    public PlaneValues At(int bits) => new(SeedBits, Codes, tables, TableType, bits);

    /// <inheritdoc/>
    public override string? Unfit(int rows, int columns)
    {
        for (var bits = SeedBits; bits <= ParentBits; bits++)
        {
            if (Tables(bits).Length != (long)rows << bits) return $"{Tables(bits).Length} table entries do not fit {rows} rows of {bits} bits";
        }
        return null;
    }

    /// <inheritdoc/>
    public override void Decode(int row, int first, ReadOnlySpan<int> columns, Span<float> destination)
    {
        var table = Tables(Precision).AsSpan(row << Precision, 1 << Precision);
        var shift = ParentBits - Precision;
        for (var i = 0; i < destination.Length; i++) destination[i] = table[Codes[first + i] >> shift];
    }

    /// <inheritdoc/>
    public override PlaneValues Pick(ReadOnlySpan<int> numbers) => new(SeedBits, Pick(Codes, numbers), tables, TableType, Precision);

    internal override JsonObject Describe() => new() { ["kind"] = Kind, ["seed_bits"] = SeedBits, ["bits"] = ParentBits };

    internal override IEnumerable<StoredPart> Parts(int rows, int columns)
    {
        var planes = new byte[ParentBits * PlaneBytes];
        for (var plane = 0; plane < ParentBits; plane++)
        {
            var shift = ParentBits - 1 - plane;
            BitPacking.PackBytes(Array.ConvertAll(Codes, c => (byte)(c >> shift & 1)), 1).CopyTo(planes, plane * PlaneBytes);
        }
        yield return new StoredPart(PlanePart, ElementType.U8, [ParentBits, PlaneBytes], planes);
        for (var bits = SeedBits; bits <= ParentBits; bits++)
            yield return StoredPart.Floats(TableName(bits), TableType, Tables(bits), rows, 1 << bits);
    }

    internal static PlaneValues Read(QuantizationConfigReader config, StoredParts parts, WeightPositions positions)
    {
        var parent = config.Integer("bits", 1, 8);
        var seed = config.Integer("seed_bits", 1, parent);
        var bytes = BitPacking.ByteCount(positions.Count, 1);
        var planes = parts.Raw(PlanePart, ElementType.U8, parent, bytes);
        var codes = new byte[positions.Count];
        for (var plane = 0; plane < parent; plane++)
        {
            var bits = BitPacking.UnpackBytes(planes.AsSpan(plane * bytes, bytes).ToArray(), 1, codes.Length);
            for (var i = 0; i < codes.Length; i++) codes[i] = (byte)(codes[i] << 1 | bits[i]);
        }
        var tables = new List<float[]>();
        var type = parts.Type(TableName(parent));
        for (var bits = seed; bits <= parent; bits++)
        {
            var (table, own) = parts.Floats(TableName(bits), positions.Rows, 1 << bits);
            if (own != type) throw parts.Wrong(TableName(bits), $"is {own} where the table of {parent} bits is {type}.");
            tables.Add(table);
        }
        return new PlaneValues(seed, codes, tables, type);
    }

    private static string TableName(int bits) => string.Create(CultureInfo.InvariantCulture, $"{TablePart}{bits}");
}
