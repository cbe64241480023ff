using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings.Positions;

namespace Compress.Formats.Encodings.Values;

/// <summary>Values as floats of 8 to 32 bits.</summary>
public sealed class FloatValues : WeightValues
{
    internal const string Name = "float";

    private const string ValuesPart = "values";

    /// <summary>Takes stored floats.</summary>
    /// <param name="type">Element type.</param>
    /// <param name="data">Little-endian elements.</param>
    /// <exception cref="ArgumentException">The type is no float, or the data are not whole elements.</exception>
    public FloatValues(ElementType type, byte[] data)
    {
        if (!ElementConversion.IsWritableFloat(type)) throw new ArgumentException($"{type} holds no values", nameof(type));
        if (data.Length % (type.Bits() / 8) != 0) throw new ArgumentException($"{data.Length} bytes are not whole {type}", nameof(data));
        (Type, Data) = (type, data);
    }

    /// <summary>Element type.</summary>
    public ElementType Type { get; }

    /// <summary>Little-endian elements.</summary>
    public byte[] Data { get; }

    /// <inheritdoc/>
    public override int Count => Data.Length / (Type.Bits() / 8);

    /// <inheritdoc/>
    public override string Kind => Name;

    /// <inheritdoc/>
    public override string Summary => Type.SafetensorsName();

    /// <inheritdoc/>
    public override int ElementBits => Type.Bits();

    /// <inheritdoc/>
    public override long StoredBytes => Data.Length;

    /// <summary>Rounds values to a type.</summary>
    /// <param name="type">Element type.</param>
    /// <param name="values">The values.</param>
    public static FloatValues Of(ElementType type, ReadOnlySpan<float> values)
    {
        var data = new byte[(long)values.Length * type.Bits() / 8];
        ElementConversion.FromSingle(type, values, data);
        return new FloatValues(type, data);
    }

    /// <inheritdoc/>
    public override string? Unfit(int rows, int columns) => null;

    /// <inheritdoc/>
    public override void Decode(int row, int first, ReadOnlySpan<int> columns, Span<float> destination)
    {
        var size = Type.Bits() / 8;
        ElementConversion.ToSingle(Type, Data.AsSpan(first * size, columns.Length * size), destination);
    }

    /// <inheritdoc/>
    public override FloatValues Pick(ReadOnlySpan<int> numbers)
    {
        var size = Type.Bits() / 8;
        var data = new byte[numbers.Length * size];
        for (var i = 0; i < numbers.Length; i++) Data.AsSpan(numbers[i] * size, size).CopyTo(data.AsSpan(i * size));
        return new FloatValues(Type, data);
    }

    internal override IEnumerable<StoredPart> Parts(int rows, int columns) => [new(ValuesPart, Type, [Count], Data)];

    /// <summary>The element type of stored values, from headers alone.</summary>
    internal static ElementType TypeOf(StoredParts parts) => parts.Type(ValuesPart);

    internal static FloatValues Read(StoredParts parts, WeightPositions positions)
    {
        var type = TypeOf(parts);
        return ElementConversion.IsWritableFloat(type)
            ? new FloatValues(type, parts.Raw(ValuesPart, type, positions.Count))
            : throw parts.Wrong(ValuesPart, $"is {type}; a float is expected.");
    }
}
