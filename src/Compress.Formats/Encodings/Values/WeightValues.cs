using System.Globalization;
using System.Text.Json.Nodes;
using Compress.Formats.Encodings.Positions;

namespace Compress.Formats.Encodings.Values;

/// <summary>How the stored elements of a weight keep their values.</summary>
public abstract class WeightValues
{
    /// <summary>Stored elements.</summary>
    public abstract int Count { get; }

    /// <summary>What a configuration calls the kind of values.</summary>
    public abstract string Kind { get; }

    /// <summary>The kind of values in words: <c>4-bit integers</c>.</summary>
    public virtual string Summary => string.Create(CultureInfo.InvariantCulture, $"{ElementBits}-bit {Kind}");

    /// <summary>Bits of one stored element, scales and tables aside.</summary>
    public abstract int ElementBits { get; }

    /// <summary>Bytes that the values take when stored, with scales, zero points and tables.</summary>
    public abstract long StoredBytes { get; }

    /// <summary>Says why these are not the values of a weight of a shape; null where they can be.</summary>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    public abstract string? Unfit(int rows, int columns);

    /// <summary>Decodes values of one row.</summary>
    /// <param name="row">Row number.</param>
    /// <param name="first">Number of the first value.</param>
    /// <param name="columns">Column of each value.</param>
    /// <param name="destination">Takes a value for each column.</param>
    public abstract void Decode(int row, int first, ReadOnlySpan<int> columns, Span<float> destination);

    /// <summary>Some of the values, with the same scales and tables.</summary>
    /// <param name="numbers">Number of each value to keep, ascending.</param>
    public abstract WeightValues Pick(ReadOnlySpan<int> numbers);

    /// <summary>What a reader has to know beside the stored parts.</summary>
    internal virtual JsonObject Describe() => new() { ["kind"] = Kind };

    /// <summary>The parts as they are stored.</summary>
    internal abstract IEnumerable<StoredPart> Parts(int rows, int columns);

    /// <summary>Reads what <see cref="Describe"/> and <see cref="Parts"/> wrote.</summary>
    /// <exception cref="ModelFileException">A part is missing, or its type, shape or values do not fit.</exception>
    /// <exception cref="ArgumentException">Values of a part contradict each other.</exception>
    internal static WeightValues ReadAny(QuantizationConfigReader config, StoredParts parts, WeightPositions positions) => config.String("kind") switch
    {
        FloatValues.Name => FloatValues.Read(parts, positions),
        IntegerValues.Name => IntegerValues.Read(config, parts, positions),
        TableValues.Name => TableValues.Read(config, parts, positions),
        PlaneValues.Name => PlaneValues.Read(config, parts, positions),
        var other => throw config.Wrong("kind", $"is \"{Suggestion.Shorten(other)}\"; {FloatValues.Name}, {IntegerValues.Name}, "
            + $"{TableValues.Name} and {PlaneValues.Name} are read."),
    };

    /// <summary>The codes of some elements.</summary>
    private protected static byte[] Pick(byte[] codes, ReadOnlySpan<int> numbers)
    {
        var result = new byte[numbers.Length];
        for (var i = 0; i < result.Length; i++) result[i] = codes[numbers[i]];
        return result;
    }

    private protected static StoredPart CodesPart(string name, byte[] codes, int bits)
    {
        var packed = BitPacking.PackBytes(codes, bits);
        return new StoredPart(name, Checkpoints.ElementType.U8, [packed.Length], packed);
    }

    private protected static byte[] ReadCodes(StoredParts parts, string name, int bits, int count) =>
        BitPacking.UnpackBytes(parts.Raw(name, Checkpoints.ElementType.U8, BitPacking.ByteCount(count, bits)), bits, count);
}
