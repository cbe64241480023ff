using System.Globalization;
using System.Text.Json;

namespace Compress.Formats.Encodings;

/// <summary>Reads members of a <c>quantization_config</c> with complaints that name file and member.</summary>
internal sealed class QuantizationConfigReader(JsonElement json, string file, string path = "quantization_config")
{
    /// <summary>A complaint about a member.</summary>
    public ModelFileException Wrong(string member, string problem) =>
        new(file, $"{path}.{member} {problem}", "Start from the unquantized checkpoint, or one of a known format.");

    /// <summary>Whether a member exists and is not null.</summary>
    public bool Has(string member) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(member, out var value) && value.ValueKind != JsonValueKind.Null;

    public string? OptionalString(string member) => Has(member) ? String(member) : null;

    public string String(string member) => Get(member) is { ValueKind: JsonValueKind.String } value
        ? value.GetString()!
        : throw Wrong(member, "is not a string.");

    public bool Boolean(string member) => Get(member) switch
    {
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        _ => throw Wrong(member, "is not true or false."),
    };

    public int Integer(string member, int smallest, int largest) =>
        Get(member) is { ValueKind: JsonValueKind.Number } value
        && value.TryGetInt32(out var number)
        && number >= smallest && number <= largest
            ? number
            : throw Wrong(member, $"is not an integer from {smallest} to {largest}.");

    /// <summary>Demands one value of a string member.</summary>
    public void Expect(string member, string expected)
    {
        var actual = String(member);
        if (actual != expected) throw Wrong(member, $"is \"{Suggestion.Shorten(actual)}\"; only \"{expected}\" is read.");
    }

    /// <summary>The strings of an array; none where the member is absent.</summary>
    public IReadOnlyList<string> Strings(string member)
    {
        if (!Has(member)) return [];
        var value = Get(member);
        return value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(s => s.ValueKind == JsonValueKind.String)
            ? [.. value.EnumerateArray().Select(s => s.GetString()!)]
            : throw Wrong(member, "is not a list of strings.");
    }

    public QuantizationConfigReader Object(string member) => Get(member) is { ValueKind: JsonValueKind.Object } value
        ? new QuantizationConfigReader(value, file, $"{path}.{member}")
        : throw Wrong(member, "is not an object.");

    /// <summary>The values of an object whose values are objects.</summary>
    public IEnumerable<QuantizationConfigReader> Objects(string member)
    {
        if (Get(member) is not { ValueKind: JsonValueKind.Object } value) throw Wrong(member, "is not an object.");
        var inner = Object(member);
        return value.EnumerateObject().Select(p => inner.Object(p.Name)).ToList();
    }

    /// <summary>The objects of an array.</summary>
    public IEnumerable<QuantizationConfigReader> Elements(string member)
    {
        var value = Get(member);
        if (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(e => e.ValueKind != JsonValueKind.Object))
            throw Wrong(member, "is not a list of objects.");
        return value.EnumerateArray().Select((e, i) =>
            new QuantizationConfigReader(e, file, string.Create(CultureInfo.InvariantCulture, $"{path}.{member}.{i}"))).ToList();
    }

    /// <summary>All members.</summary>
    public IEnumerable<(string Name, JsonElement Value)> Members() => json.EnumerateObject().Select(p => (p.Name, p.Value));

    JsonElement Get(string member) => Has(member) ? json.GetProperty(member) : throw Wrong(member, "is missing.");
}
