using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings.Positions;
using Compress.Formats.Encodings.Values;

namespace Compress.Formats.Encodings;

/// <summary>
/// Compress's own storage of encoded weights in safetensors: the tensor <c>NAME</c> is replaced by <c>NAME.PART</c> for each part of its
/// positions and values, and <c>NAME.outliers.PART</c> for those of its outliers. The layout is specified in docs/formats.md.
/// </summary>
public static class EncodedFormat
{
    const string PositionsKey = "positions", ValuesKey = "values", OutliersKey = "outliers";

    /// <summary>What a reader has to know of a weight beside its tensors and shape; the same for weights of the same encoding.</summary>
    /// <param name="weight">The weight.</param>
    public static JsonObject Describe(EncodedWeight weight)
    {
        var (layers, outliers) = Layers(weight);
        var json = new JsonObject { [PositionsKey] = layers.Positions.Describe(), [ValuesKey] = layers.Values.Describe() };
        if (outliers is not null) json[OutliersKey] = outliers.Values.Describe();
        return json;
    }

    /// <summary>The tensors of a weight.</summary>
    /// <param name="tensor">The tensor that it stands for.</param>
    /// <param name="weight">The weight.</param>
    public static IReadOnlyList<PackedTensor> Pack(string tensor, EncodedWeight weight)
    {
        var (layers, outliers) = Layers(weight);
        return [.. Pack(tensor, layers), .. outliers is null ? [] : Pack($"{tensor}.{OutliersKey}", outliers)];
    }

    /// <inheritdoc cref="Read(ITensorSource, string, string, QuantizationConfigReader, int, int)"/>
    public static EncodedWeight Read(ITensorSource source, string file, string tensor, JsonElement encoding, int rows, int columns) =>
        Read(source, file, tensor, new QuantizationConfigReader(encoding, file, tensor), rows, columns);

    /// <summary>How a weight is quantized in groups of integers, from headers alone; null where it is encoded otherwise.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="file">Its path, for messages.</param>
    /// <param name="tensor">The tensor that it stands for.</param>
    /// <param name="encoding">What <see cref="Describe"/> wrote.</param>
    /// <param name="columns">Columns.</param>
    public static QuantizationScheme? SchemeOf(ITensorSource source, string file, string tensor, JsonElement encoding, int columns)
    {
        var reader = new QuantizationConfigReader(encoding, file, tensor);
        if (reader.Has(OutliersKey) || reader.Object(PositionsKey).String("kind") != DensePositions.Name) return null;
        var values = reader.Object(ValuesKey);
        return values.String("kind") == IntegerValues.Name ? IntegerValues.SchemeOf(values, new StoredParts(source, file, tensor), columns) : null;
    }

    /// <summary>Reads a weight.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="file">Its path, for messages.</param>
    /// <param name="tensor">The tensor that it stands for.</param>
    /// <param name="encoding">What <see cref="Describe"/> wrote.</param>
    /// <param name="rows">Rows; with the columns no more than an array can index.</param>
    /// <param name="columns">Columns, at least 1.</param>
    /// <exception cref="ModelFileException">A part is missing, or its type, shape or values do not fit.</exception>
    internal static EncodedWeight Read(ITensorSource source, string file, string tensor, QuantizationConfigReader encoding, int rows, int columns)
    {
        try
        {
            var parts = new StoredParts(source, file, tensor);
            var positions = WeightPositions.ReadAny(encoding.Object(PositionsKey), parts, rows, columns);
            var layers = new LayeredWeight(positions, WeightValues.ReadAny(encoding.Object(ValuesKey), parts, positions));
            EncodedWeight weight = positions is DensePositions && layers.ToGroups() is { } groups ? groups : layers;
            if (!encoding.Has(OutliersKey)) return weight;
            var outlierParts = new StoredParts(source, file, $"{tensor}.{OutliersKey}");
            var places = CsrPositions.Read(outlierParts, rows, columns);
            return new DenseAndSparseWeight(
                weight, new LayeredWeight(places, WeightValues.ReadAny(encoding.Object(OutliersKey), outlierParts, places)));
        }
        catch (ArgumentException e)
        {
            throw new ModelFileException(file, $"the weight \"{Suggestion.Shorten(tensor)}\" is damaged: {e.Message}.", "Export it again.", e);
        }
    }

    /// <summary><see cref="EncodedWeight.Summary"/>, from headers alone.</summary>
    internal static string Summary(ITensorSource source, string file, string tensor, QuantizationConfigReader encoding)
    {
        var (positions, values) = (encoding.Object(PositionsKey), encoding.Object(ValuesKey));
        var what = values.String("kind") switch
        {
            FloatValues.Name => FloatValues.TypeOf(new StoredParts(source, file, tensor)).SafetensorsName(),
            IntegerValues.Name => Bits("integers"),
            TableValues.Name => Bits("tables"),
            PlaneValues.Name => Bits(PlaneValues.Name),
            // Reading the weight refuses it.
            var other => Suggestion.Shorten(other),
        };
        var where = positions.String("kind") switch
        {
            DensePositions.Name => "",
            PeriodicPositions.Name => string.Create(CultureInfo.InvariantCulture, $"{positions.Integer("kept", 1, 256)}:{positions.Integer("of", 2, 256)} of "),
            var other => $"{Suggestion.Shorten(other)} of ",
        };
        return where + what + (encoding.Has(OutliersKey) ? " and outliers" : "");

        string Bits(string name) => string.Create(CultureInfo.InvariantCulture, $"{values.Integer("bits", 1, 8)}-bit {name}");
    }

    /// <summary>The element type that a weight decodes to without loss, from headers alone.</summary>
    internal static ElementType DecodedType(ITensorSource source, string file, string tensor, QuantizationConfigReader encoding) =>
        !encoding.Has(OutliersKey) && encoding.Object(ValuesKey).String("kind") == FloatValues.Name
            ? FloatValues.TypeOf(new StoredParts(source, file, tensor))
            : ElementType.F32;

    static IEnumerable<PackedTensor> Pack(string tensor, LayeredWeight layers) =>
        layers.Positions.Parts().Concat(layers.Values.Parts(layers.Rows, layers.Columns))
            .Select(p => new PackedTensor(TensorInfo.Of($"{tensor}.{p.Name}", p.Type, p.Shape), p.Bytes));

    static (LayeredWeight Layers, LayeredWeight? Outliers) Layers(EncodedWeight weight) => weight switch
    {
        LayeredWeight layers => (layers, null),
        GroupQuantizedWeight groups => (LayeredWeight.Of(groups), null),
        DenseAndSparseWeight sum => (Layers(sum.Base).Layers, sum.Outliers),
        _ => throw new ArgumentException($"{weight.GetType().Name} has no place in the format", nameof(weight)),
    };
}
