using System.Text.Json;

namespace Compress.Formats.Checkpoints;

/// <summary>Reads JSON that others made, with a size limit.</summary>
internal static class JsonFile
{
    const int MaximumDepth = 64;

    /// <summary>Reads an object.</summary>
    /// <param name="path">The file.</param>
    /// <param name="maximumLength">Longest file that is read.</param>
    /// <exception cref="ModelFileException">The file is missing, too large, not JSON, not an object, or repeats a name.</exception>
    public static JsonElement ReadObject(string path, int maximumLength)
    {
        using var file = MappedFile.Open(path);
        if (file.Length > maximumLength)
            throw new ModelFileException(path, $"it has {file.Length} bytes; at most {maximumLength} are read.", "Is it the right file?");
        var bytes = file.Bytes(0, (int)file.Length).ToArray().AsMemory();
        if (bytes.Span.StartsWith("\uFEFF"u8)) bytes = bytes[3..];
        try
        {
            var options = new JsonDocumentOptions { MaxDepth = MaximumDepth, AllowDuplicateProperties = false };
            using var document = JsonDocument.Parse(bytes, options);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new ModelFileException(path, "its content is not a JSON object.", "Is it the right file?");
            CheckStrings(document.RootElement);
            return document.RootElement.Clone();
        }
        catch (InvalidOperationException e)
        {
            throw new ModelFileException(
                path, "it has a string that is not valid Unicode.", "The file is damaged; fetch or write it again.", e);
        }
        catch (JsonException e)
        {
            // The reader has no other sign for a repeated name than its message.
            var repeated = e.Message.Contains("uplicate", StringComparison.Ordinal);
            throw new ModelFileException(
                path,
                $"{(repeated ? "a name appears twice" : "it is not valid JSON")} (line {e.LineNumber + 1}, byte {e.BytePositionInLine}).",
                "The file is damaged; fetch or write it again.",
                e);
        }
    }

    /// <summary>Decodes every string once, so that none fails later, where the file is no longer known.</summary>
    static void CheckStrings(JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var property in element.EnumerateObject())
                {
                    _ = property.Name;
                    CheckStrings(property.Value);
                }
                break;
            case JsonValueKind.Array:
                foreach (var item in element.EnumerateArray()) CheckStrings(item);
                break;
            case JsonValueKind.String:
                element.GetString();
                break;
        }
    }
}
