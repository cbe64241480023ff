using Compress.Formats.Tokenizers.Patterns;

namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>Reads a <c>pattern</c>: <c>{"String": …}</c> or <c>{"Regex": …}</c>.</summary>
static class FinderReader
{
    internal static Action<string, Action<int, int>> Read(JsonNode node)
    {
        if (node.Optional("String") is { } literal) return Splitter.Literal(literal.AsString());
        var pattern = new Pattern(node.Required("Regex").AsString());
        return (text, found) => pattern.ForEachMatch(text, found);
    }
}
