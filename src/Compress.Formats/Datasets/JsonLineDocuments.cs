using System.Text;
using System.Text.Json;

namespace Compress.Formats.Datasets;

/// <summary>
/// Documents of a JSON Lines file: a string member of each line's object, or a conversation, <c>[{"role", "content"}, …]</c>, which is
/// rendered as <c>role: content</c> with a blank line between messages.
/// </summary>
internal static class JsonLineDocuments
{
    static readonly string[] UsualFields = ["text", "messages", "conversations"];
    static readonly JsonDocumentOptions Limits = new() { MaxDepth = 64 };

    public static IEnumerable<string> Read(string path, TextDatasetOptions options)
    {
        using var lines = new TextLines(path, options.MaximumLength);
        while (lines.Next() is { } line)
        {
            if (line.AsSpan().IsWhiteSpace()) continue;
            var document = Parse(new Line(path, lines.Number), line, options.Field);
            if (document is not null) yield return document;
        }
    }

    readonly record struct Line(string Path, long Number)
    {
        public ModelFileException Error(string problem, string? remedy = null) => new(Path, $"line {Number}: {problem}", remedy);
    }

    static string? Parse(Line line, string text, string? field)
    {
        try
        {
            using var json = JsonDocument.Parse(text, Limits);
            if (json.RootElement.ValueKind == JsonValueKind.Object) return FromObject(line, json.RootElement, field);
            throw line.Error("this is not a JSON object.", "JSON Lines files have one object on each line.");
        }
        catch (JsonException e)
        {
            throw line.Error($"this is not valid JSON (byte {e.BytePositionInLine}).", "JSON Lines files have one object on each line.");
        }
        catch (InvalidOperationException)
        {
            throw line.Error("a string is not valid Unicode.");
        }
    }

    static string? FromObject(Line line, JsonElement root, string? field)
    {
        var name = field ?? Array.Find(UsualFields, f => root.TryGetProperty(f, out _));
        if (name is null || !root.TryGetProperty(name, out var value))
        {
            var names = root.EnumerateObject().Select(p => Suggestion.Shorten(p.Name)).Take(10).ToList();
            var present = names.Count == 0 ? "The object is empty." : $"It has {string.Join(", ", names)}; name one of these as the field.";
            throw line.Error($"there is no member \"{Suggestion.Shorten(field ?? UsualFields[0])}\".", present);
        }
        return value.ValueKind switch
        {
            JsonValueKind.String => value.GetString(),
            JsonValueKind.Array => Conversation(line, name, value),
            JsonValueKind.Null => null,
            _ => throw line.Error($"\"{Suggestion.Shorten(name)}\" is neither text nor a list of messages."),
        };
    }

    static string Conversation(Line line, string name, JsonElement messages)
    {
        var text = new StringBuilder();
        foreach (var message in messages.EnumerateArray())
        {
            var role = Member(message, "role", "from");
            var content = Member(message, "content", "value");
            if (role is not { ValueKind: JsonValueKind.String } || content is null)
                throw line.Error($"a message of \"{Suggestion.Shorten(name)}\" has no \"role\" and \"content\".");
            if (text.Length > 0) text.Append("\n\n");
            text.Append(role.Value.GetString()).Append(": ");
            AppendContent(line, text, content.Value);
        }
        return text.ToString();
    }

    static JsonElement? Member(JsonElement message, string name, string otherName) =>
        message.ValueKind != JsonValueKind.Object ? null
        : message.TryGetProperty(name, out var value) || message.TryGetProperty(otherName, out value) ? value
        : null;

    /// <summary>Content is text, or parts of which those of type text count, or null (a message that only calls a tool).</summary>
    static void AppendContent(Line line, StringBuilder text, JsonElement content)
    {
        switch (content.ValueKind)
        {
            case JsonValueKind.String:
                text.Append(content.GetString());
                break;
            case JsonValueKind.Array:
                foreach (var part in content.EnumerateArray())
                {
                    if (part.ValueKind == JsonValueKind.Object
                        && part.TryGetProperty("text", out var words)
                        && words.ValueKind == JsonValueKind.String)
                    {
                        text.Append(words.GetString());
                    }
                }
                break;
            case JsonValueKind.Null:
                break;
            default:
                throw line.Error("a message's content is not text.");
        }
    }
}
