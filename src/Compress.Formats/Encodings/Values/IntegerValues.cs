using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings.Positions;

namespace Compress.Formats.Encodings.Values;

/// <summary>
/// Integer codes with a scale and zero point for each row and group of the weight's columns:
/// <c>w = (code − zero[r,g]·2^−zero_fraction) · scale[r,g]</c>.
/// Groups count the columns of the weight and not the stored elements, as in <see cref="GroupQuantizedWeight"/>.
/// </summary>
public sealed class IntegerValues : WeightValues
{
    internal const string Name = "integer";

    private const string CodePart = "codes", ScalePart = "scales", ZeroPart = "zeros", IndexPart = "group_index";

    /// <summary>Takes codes and their grid.</summary>
    /// <param name="grid">Scales, zero points and groups; its codes are replaced.</param>
    /// <param name="codes">A code for each stored element.</param>
    /// <exception cref="ArgumentException">A code has more bits than the grid.</exception>
    public IntegerValues(GroupQuantizedWeight grid, byte[] codes)
    {
        if (grid.Bits is < 2 or > 8) throw new ArgumentException($"codes have 2 to 8 bits, not {grid.Bits}", nameof(grid));
        if (grid.ZeroFraction < 0 || grid.ZeroWidth > 8)
            throw new ArgumentException($"codes and the fraction of a zero point have 8 bits together, not {grid.ZeroWidth}", nameof(grid));
        if (codes.AsSpan().ContainsAnyExceptInRange((byte)0, (byte)((1 << grid.Bits) - 1)))
            throw new ArgumentException($"a code has more than {grid.Bits} bits", nameof(codes));
        (Grid, Codes) = (grid with { Codes = [] }, codes);
    }

    /// <summary>Bits, groups, scales and zero points; without codes.</summary>
    public GroupQuantizedWeight Grid { get; }

    /// <summary>A code for each stored element.</summary>
    public byte[] Codes { get; }

    /// <inheritdoc/>
    public override int Count => Codes.Length;

    /// <inheritdoc/>
    public override string Kind => Name;

    /// <inheritdoc/>
    public override string Summary => Grid.Summary;

    /// <inheritdoc/>
    public override int ElementBits => Grid.Bits;

    /// <inheritdoc/>
    public override long StoredBytes => ((long)Codes.Length * Grid.Bits + 7) / 8 + Grid.GridBytes;

    /// <inheritdoc/>
    public override string? Unfit(int rows, int columns)
    {
        if ((Grid.Rows, Grid.Columns) != (rows, columns)) return $"the grid is for {Grid.Rows} × {Grid.Columns} and not {rows} × {columns}";
        var cells = (long)rows * Grid.Groups;
        if (Grid.Scales.Length != cells || Grid.Zeros.Length != cells) return $"the grid does not have {cells} scales and zero points";
        return Grid.GroupIndex is { } index && (index.Length != columns || Array.Exists(index, g => g < 0 || g >= Grid.Groups))
            ? "the group index does not fit the columns" : null;
    }

    /// <inheritdoc/>
    public override void Decode(int row, int first, ReadOnlySpan<int> columns, Span<float> destination)
    {
        var at = row * Grid.Groups;
        for (var i = 0; i < columns.Length; i++)
        {
            var g = at + (Grid.GroupIndex is { } index ? index[columns[i]] : columns[i] / Grid.GroupSize);
            destination[i] = (Codes[first + i] - Grid.Zeros[g] * Grid.ZeroUnit) * Grid.Scales[g];
        }
    }

    /// <inheritdoc/>
    public override IntegerValues Pick(ReadOnlySpan<int> numbers) => new(Grid, Pick(Codes, numbers));

    internal override JsonObject Describe()
    {
        var json = new JsonObject { ["kind"] = Kind, ["bits"] = Grid.Bits };
        if (Grid.GroupSize < Grid.Columns) json["group_size"] = Grid.GroupSize;
        if (!Grid.Symmetric) json["zero_bits"] = Grid.ZeroBits;
        if (Grid.ZeroFraction > 0) json["zero_fraction"] = Grid.ZeroFraction;
        if (Grid.GroupIndex is not null) json["activation_order"] = true;
        return json;
    }

    internal override IEnumerable<StoredPart> Parts(int rows, int columns)
    {
        yield return CodesPart(CodePart, Codes, Grid.Bits);
        yield return StoredPart.Floats(ScalePart, Grid.ScaleType, Grid.Scales, rows, Grid.Groups);
        if (!Grid.Symmetric)
        {
            yield return Grid.ZeroBits > 8
                ? new StoredPart(ZeroPart, ElementType.U16, [Grid.Zeros.Length], MemoryMarshal.AsBytes<ushort>(Array.ConvertAll(Grid.Zeros, z => (ushort)z)).ToArray())
                : CodesPart(ZeroPart, Array.ConvertAll(Grid.Zeros, z => (byte)z), Grid.ZeroBits);
        }
        if (Grid.GroupIndex is { } index) yield return new StoredPart(IndexPart, ElementType.I32, [columns], MemoryMarshal.AsBytes<int>(index).ToArray());
    }

    internal static QuantizationScheme SchemeOf(QuantizationConfigReader config, StoredParts parts, int columns) => new(
        config.Integer("bits", 2, 8),
        config.Has("group_size") ? config.Integer("group_size", 1, columns) : null,
        !config.Has("zero_bits"),
        config.Has("activation_order") && config.Boolean("activation_order"),
        parts.Type(ScalePart),
        Fraction(config));

    internal static IntegerValues Read(QuantizationConfigReader config, StoredParts parts, WeightPositions positions)
    {
        var (rows, columns, bits) = (positions.Rows, positions.Columns, config.Integer("bits", 2, 8));
        var size = config.Has("group_size") ? config.Integer("group_size", 1, columns) : columns;
        var groups = (int)(((long)columns + size - 1) / size);
        var (scales, scaleType) = parts.Floats(ScalePart, rows, groups);
        var width = bits + Fraction(config);
        var zeroBits = config.Has("zero_bits") ? config.Integer("zero_bits", width, width < 8 ? width + 1 : 16) : 0;
        int[]? index = null;
        if (config.Has("activation_order") && config.Boolean("activation_order"))
        {
            index = parts.Integers(IndexPart, columns);
            if (Array.Exists(index, g => g < 0 || g >= groups)) throw parts.Wrong(IndexPart, $"names a group outside 0 … {groups - 1}.");
        }
        return new IntegerValues(
            new GroupQuantizedWeight
            {
                Rows = rows,
                Columns = columns,
                Bits = bits,
                GroupSize = size,
                Symmetric = zeroBits == 0,
                Codes = [],
                Scales = scales,
                ScaleType = scaleType,
                Zeros = ReadZeros(parts, scales.Length, bits, width, zeroBits),
                ZeroFraction = width - bits,
                GroupIndex = index,
            },
            ReadCodes(parts, CodePart, bits, positions.Count));
    }

    private static int Fraction(QuantizationConfigReader config) =>
        config.Has("zero_fraction") ? config.Integer("zero_fraction", 1, 8 - config.Integer("bits", 2, 7)) : 0;

    private static int[] ReadZeros(StoredParts parts, int count, int bits, int width, int zeroBits)
    {
        var zeros = new int[count];
        if (zeroBits == 0) Array.Fill(zeros, 1 << (bits - 1));
        else if (zeroBits <= 8) zeros = Array.ConvertAll(ReadCodes(parts, ZeroPart, zeroBits, count), z => (int)z);
        else zeros = Array.ConvertAll(MemoryMarshal.Cast<byte, ushort>(parts.Raw(ZeroPart, ElementType.U16, count)).ToArray(), z => (int)z);
        return Array.TrueForAll(zeros, z => z <= 1 << width) ? zeros : throw parts.Wrong(ZeroPart, $"has a zero point above {1 << bits}.");
    }
}
