using System.Globalization;
using System.Text.Json;

namespace Compress.Formats.Architectures;

/// <summary>Reads values of a <c>config.json</c> with the checks that every family needs; failures name file, key and value.</summary>
internal sealed class ConfigReader
{
    /// <summary>No public model comes near; a larger number is a broken file and must not size an allocation.</summary>
    public const int LargestCount = 1 << 24;

    /// <summary>A list of blocks is made before tensors are looked at.</summary>
    private const int MostBlocks = 1 << 12;

    private readonly JsonElement root;

    public ConfigReader(JsonElement root, string file)
    {
        File = file;
        if (root.ValueKind != JsonValueKind.Object) throw new ModelFileException(file, $"holds {Kind(root)} where an object is expected.");
        this.root = root;
    }

    /// <summary>The file that messages name.</summary>
    public string File { get; }

    /// <summary>The configuration's <c>model_type</c>.</summary>
    public string ModelType => Text("model_type")
        ?? throw Wrong("model_type", "is missing", "Add the family's name, e.g. \"model_type\": \"llama\".");

    /// <summary>Whether the key is present and not null.</summary>
    public bool Has(string key) => Find(key) is not null;

    /// <summary>The value under a key; null where absent or JSON null.</summary>
    public JsonElement? Find(string key) =>
        root.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    /// <summary>A positive count.</summary>
    public int Count(string key, int? fallback = null) => Count(key, fallback, LargestCount);

    /// <summary>The number of blocks.</summary>
    public int Blocks(string key) => Count(key, null, MostBlocks);

    private int Count(string key, int? fallback, int most)
    {
        if (Find(key) is not { } value) return fallback ?? throw Wrong(key, "is missing");
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var n) && n > 0 && n <= most
            ? n
            : throw Wrong(key, $"is {Show(value)}; expected a whole number from 1 to {most.ToString(CultureInfo.InvariantCulture)}");
    }

    /// <summary>A positive count, or null where absent or null.</summary>
    public int? OptionalCount(string key) => Has(key) ? Count(key) : null;

    /// <summary>A finite number.</summary>
    public double Number(string key, double? fallback = null)
    {
        if (Find(key) is not { } value) return fallback ?? throw Wrong(key, "is missing");
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var x) && double.IsFinite(x)
            ? x
            : throw Wrong(key, $"is {Show(value)}; expected a number");
    }

    /// <summary>A finite number above zero.</summary>
    public double Positive(string key, double? fallback = null)
    {
        var x = Number(key, fallback);
        return x > 0 ? x : throw Wrong(key, $"is {x.ToString(CultureInfo.InvariantCulture)}; expected a number above 0");
    }

    /// <summary>A finite number above zero, or null where absent or null.</summary>
    public double? OptionalPositive(string key) => Has(key) ? Positive(key) : null;

    /// <summary>A truth value.</summary>
    public bool Flag(string key, bool fallback)
    {
        if (Find(key) is not { } value) return fallback;
        return value.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? value.GetBoolean()
            : throw Wrong(key, $"is {Show(value)}; expected true or false");
    }

    /// <summary>A string, or null where absent.</summary>
    public string? Text(string key)
    {
        if (Find(key) is not { } value) return null;
        return value.ValueKind == JsonValueKind.String ? value.GetString() : throw Wrong(key, $"is {Show(value)}; expected a string");
    }

    /// <summary>A list, or null where absent.</summary>
    public IReadOnlyList<JsonElement>? List(string key)
    {
        if (Find(key) is not { } value) return null;
        return value.ValueKind == JsonValueKind.Array
            ? [.. value.EnumerateArray()]
            : throw Wrong(key, $"is {Show(value)}; expected a list");
    }

    /// <summary>A nested object's reader, or null where absent; its messages name <c>key.inner</c>.</summary>
    public ConfigReader? Section(string key)
    {
        if (Find(key) is not { } value) return null;
        return value.ValueKind == JsonValueKind.Object
            ? new ConfigReader(value, $"{File}: {key}")
            : throw Wrong(key, $"is {Show(value)}; expected an object");
    }

    /// <summary>Keys of the object.</summary>
    public IEnumerable<string> Keys => root.EnumerateObject().Select(p => p.Name);

    /// <summary>Refuses a switch that changes the forward pass in a way that is not implemented.</summary>
    public void RefuseFlag(string key)
    {
        if (Flag(key, false)) throw Wrong(key, $"is true, which is not supported for {ModelType}");
    }

    /// <summary>A failure about one key.</summary>
    public ModelFileException Wrong(string key, string problem, string? remedy = null) => new(File, $"\"{key}\" {problem}.", remedy);

    /// <summary>A value in a message, shortened.</summary>
    public static string Show(JsonElement value)
    {
        var text = value.ValueKind is JsonValueKind.Object or JsonValueKind.Array ? Kind(value) : value.GetRawText();
        return text.Length <= 60 ? text : text[..60] + "…";
    }

    private static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        _ => value.GetRawText(),
    };
}
