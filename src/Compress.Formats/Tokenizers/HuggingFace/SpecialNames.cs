using System.Text.Json;

namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>Which tokens begin and end a sequence, from the configuration files beside a tokenizer.</summary>
sealed record SpecialNames(string? Bos, string? Eos)
{
    static readonly string[] Files = ["tokenizer_config.json", "special_tokens_map.json"];

    internal static SpecialNames Read(string tokenizerFile)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(tokenizerFile))!;
        var names = new SpecialNames(null, null);
        foreach (var file in Files.Select(name => Path.Combine(folder, name)).Where(File.Exists))
        {
            using var document = JsonNode.Parse(file, TokenizerLoader.ReadBytes(file));
            var root = new JsonNode(file, "$", document.RootElement);
            names = new SpecialNames(names.Bos ?? NameOf(root, "bos_token"), names.Eos ?? NameOf(root, "eos_token"));
        }
        return names;
    }

    static string? NameOf(JsonNode root, string key)
    {
        if (root.Optional(key) is not { } value) return null;
        return value.Element.ValueKind == JsonValueKind.Object ? value.Required("content").AsString() : value.AsString();
    }
}
