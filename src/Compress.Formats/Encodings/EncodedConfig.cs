using System.Text.Json;
using System.Text.Json.Nodes;

namespace Compress.Formats.Encodings;

/// <summary>The <c>quantization_config</c> of <see cref="EncodedFormat"/> in <c>config.json</c>: which tensors are encoded, and how.</summary>
public sealed class EncodedConfig
{
    /// <summary>The <c>quant_method</c> that names the format.</summary>
    public const string Method = "compress";

    const int Version = 1;
    const string MethodKey = "quant_method", VersionKey = "version", EncodingsKey = "encodings", WeightsKey = "weights";

    /// <summary>Encodings in the order in which they appeared, with their weights.</summary>
    readonly OrderedDictionary<string, (JsonObject Encoding, JsonObject Weights)> encodings = new(StringComparer.Ordinal);

    /// <summary>Whether no weight is encoded.</summary>
    public bool IsEmpty => encodings.Count == 0;

    /// <summary>Lists a weight.</summary>
    /// <param name="tensor">The tensor that it stands for.</param>
    /// <param name="weight">The weight.</param>
    public void Add(string tensor, EncodedWeight weight)
    {
        var encoding = EncodedFormat.Describe(weight);
        var key = encoding.ToJsonString();
        if (!encodings.TryGetValue(key, out var entry)) encodings.Add(key, entry = (encoding, []));
        entry.Weights.Add(tensor, new JsonArray(weight.Rows, weight.Columns));
    }

    /// <summary>The value of <c>quantization_config</c>.</summary>
    public JsonObject ToJson() => new()
    {
        [MethodKey] = Method,
        [VersionKey] = Version,
        [EncodingsKey] = new JsonArray([.. encodings.Values.Select(e =>
        {
            var json = (JsonObject)e.Encoding.DeepClone();
            json[WeightsKey] = e.Weights.DeepClone();
            return (JsonNode)json;
        })]),
    };

    /// <summary>An encoded weight as the configuration lists it.</summary>
    /// <param name="Rows">Rows.</param>
    /// <param name="Columns">Columns; rows · columns is no more than an array can index.</param>
    /// <param name="Encoding">How it is encoded.</param>
    internal sealed record Entry(int Rows, int Columns, QuantizationConfigReader Encoding);

    /// <summary>Reads a configuration.</summary>
    /// <param name="reader">The value of <c>quantization_config</c>.</param>
    /// <exception cref="ModelFileException">A member is missing, malformed or of a later version.</exception>
    internal static IReadOnlyDictionary<string, Entry> Read(QuantizationConfigReader reader)
    {
        reader.Expect(MethodKey, Method);
        reader.Integer(VersionKey, Version, Version);
        var result = new Dictionary<string, Entry>(StringComparer.Ordinal);
        foreach (var encoding in reader.Elements(EncodingsKey))
        {
            foreach (var (name, value) in encoding.Object(WeightsKey).Members())
            {
                if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() != 2
                    || !TryInteger(value[0], out var rows) || !TryInteger(value[1], out var columns) || (long)rows * columns > Array.MaxLength)
                {
                    throw encoding.Wrong(WeightsKey, $"does not give \"{Suggestion.Shorten(name)}\" a shape of two positive numbers.");
                }
                if (!result.TryAdd(name, new Entry(rows, columns, encoding)))
                    throw encoding.Wrong(WeightsKey, $"lists \"{Suggestion.Shorten(name)}\" again.");
            }
        }
        return result;
    }

    static bool TryInteger(JsonElement json, out int value)
    {
        value = 0;
        return json.ValueKind == JsonValueKind.Number && json.TryGetInt32(out value) && value > 0;
    }
}
