namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>The ids that a <c>tokenizer.json</c> puts before and after a single sequence.</summary>
/// <remarks>Only the single-sequence half of a template is kept: language models are compressed on single texts.</remarks>
sealed record PostProcessor(IReadOnlyList<int> Before, IReadOnlyList<int> After)
{
    internal static PostProcessor Nothing { get; } = new([], []);

    internal static PostProcessor Read(JsonNode node)
    {
        switch (node.Type)
        {
            case "ByteLevel":
                return Nothing;
            case "TemplateProcessing":
                return ReadTemplate(node);
            case "BertProcessing" or "RobertaProcessing":
                return new PostProcessor([IdOfPair(node.Required("cls"))], [IdOfPair(node.Required("sep"))]);
            case "Sequence":
                var all = node.Required("processors").Steps().Select(Read).ToArray();
                return new PostProcessor([.. all.Reverse().SelectMany(p => p.Before)], [.. all.SelectMany(p => p.After)]);
            default:
                throw node.Wrong($"the post-processor '{node.Type}' is not supported.");
        }
    }

    static PostProcessor ReadTemplate(JsonNode node)
    {
        var before = new List<int>();
        var after = new List<int>();
        var sequences = 0;
        foreach (var item in node.Required("single").Items())
        {
            if (item.Optional("Sequence") is not null) sequences++;
            else (sequences == 0 ? before : after).AddRange(SpecialIds(node, item.Required("SpecialToken").Required("id").AsString()));
        }
        return sequences == 1 ? new PostProcessor(before, after) : throw node.Wrong("the template must hold the sequence exactly once.");
    }

    static IEnumerable<int> SpecialIds(JsonNode node, string name) =>
        node.Required("special_tokens").Required(name).Required("ids").Items().Select(id => id.AsId());

    static int IdOfPair(JsonNode pair)
    {
        var items = pair.Items().Take(3).ToArray();
        return items.Length == 2 ? items[1].AsId() : throw pair.Wrong("is not a token with its id.");
    }
}
