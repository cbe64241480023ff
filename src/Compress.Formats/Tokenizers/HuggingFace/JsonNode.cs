using System.Globalization;
using System.Text.Json;

namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>A JSON value with its file and path, so that every complaint names the key.</summary>
readonly record struct JsonNode(string File, string Path, JsonElement Element)
{
    /// <summary>Parses a file's bytes.</summary>
    internal static JsonDocument Parse(string file, byte[] bytes)
    {
        try
        {
            var start = bytes.AsSpan().StartsWith("\uFEFF"u8) ? 3 : 0;
            return JsonDocument.Parse(bytes.AsMemory(start), new JsonDocumentOptions { MaxDepth = 64 });
        }
        catch (JsonException e)
        {
            throw new ModelFileException(file, $"is not valid JSON: {e.Message}", inner: e);
        }
    }

    internal bool IsNull => Element.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined;

    internal ModelFileException Wrong(string problem, Exception? inner = null) => new(File, $"{Path}: {problem}", inner: inner);

    /// <summary>A member, or null where it is absent or null.</summary>
    internal JsonNode? Optional(string key)
    {
        if (Element.ValueKind != JsonValueKind.Object) throw Wrong($"is {Kind}, an object was expected.");
        return Element.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null
            ? new JsonNode(File, $"{Path}.{key}", value)
            : null;
    }

    internal JsonNode Required(string key) => Optional(key) ?? throw Wrong($"has no \"{key}\".");

    internal string Type => Required("type").AsString();

    internal string AsString() => Element.ValueKind == JsonValueKind.String
        ? Text()
        : throw Wrong($"is {Kind}, a string was expected.");

    internal bool AsBoolean() => Element.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Wrong($"is {Kind}, true or false was expected."),
    };

    internal int AsInteger() => Element.ValueKind == JsonValueKind.Number && Element.TryGetInt32(out var value)
        ? value
        : throw Wrong("is not an integer of 32 bits.");

    /// <summary>A token id: not negative and small enough for an honest vocabulary.</summary>
    internal int AsId()
    {
        var id = AsInteger();
        return id is >= 0 and < Vocabulary.MaximumSize
            ? id
            : throw Wrong(string.Create(CultureInfo.InvariantCulture, $"is {id}, which cannot be a token id."));
    }

    internal double AsDouble() => Element.ValueKind == JsonValueKind.Number && Element.TryGetDouble(out var value) && double.IsFinite(value)
        ? value
        : throw Wrong("is not a finite number.");

    internal string String(string key, string otherwise) => Optional(key)?.AsString() ?? otherwise;

    internal bool Boolean(string key, bool otherwise) => Optional(key)?.AsBoolean() ?? otherwise;

    internal int Integer(string key, int otherwise) => Optional(key)?.AsInteger() ?? otherwise;

    internal IEnumerable<JsonNode> Items()
    {
        if (Element.ValueKind != JsonValueKind.Array) throw Wrong($"is {Kind}, an array was expected.");
        return Enumerate(this);

        static IEnumerable<JsonNode> Enumerate(JsonNode node)
        {
            var index = 0;
            foreach (var item in node.Element.EnumerateArray())
            {
                yield return new JsonNode(node.File, string.Create(CultureInfo.InvariantCulture, $"{node.Path}[{index++}]"), item);
            }
        }
    }

    /// <summary>The steps of a sequence.</summary>
    internal IEnumerable<JsonNode> Steps() => Element.ValueKind == JsonValueKind.Array && Element.GetArrayLength() > Growth.MostSteps
        ? throw Wrong($"has more than {Growth.MostSteps} steps.")
        : Items();

    internal JsonElement.ObjectEnumerator Members() => Element.ValueKind == JsonValueKind.Object
        ? Element.EnumerateObject()
        : throw Wrong($"is {Kind}, an object was expected.");

    string Kind => Element.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "a boolean",
        _ => "null",
    };

    string Text()
    {
        try
        {
            return Element.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw Wrong("is not valid Unicode.", e);
        }
    }
}
