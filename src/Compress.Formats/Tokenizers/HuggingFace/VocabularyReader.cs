using System.Text.Json;

namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>Reads the vocabularies of <c>tokenizer.json</c>.</summary>
static class VocabularyReader
{
    /// <summary>An object of token to id.</summary>
    internal static Vocabulary FromObject(JsonNode node)
    {
        var ids = new Dictionary<string, int>();
        var largest = -1;
        foreach (var member in node.Members())
        {
            var name = NameOf(node, member);
            var id = new JsonNode(node.File, node.Path, member.Value) is { } value && value.Element.ValueKind == JsonValueKind.Number
                ? value.AsId()
                : throw node.Wrong($"the id of '{name}' is not a number.");
            ids[name] = id;
            largest = Math.Max(largest, id);
        }
        // An id table is as long as its largest id: a file may leave gaps, but not be nearly all gap.
        if (largest > 4L * ids.Count + 65_536) throw node.Wrong($"has {ids.Count} tokens but ids up to {largest}.");
        return new Vocabulary(ids);
    }

    static string NameOf(JsonNode node, JsonProperty member)
    {
        try
        {
            return member.Name;
        }
        catch (InvalidOperationException e)
        {
            throw node.Wrong("has a token that is not valid Unicode.", e);
        }
    }
}
