using Compress.Formats.Tokenizers.Patterns;

namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>Reads the <c>pre_tokenizer</c> of a <c>tokenizer.json</c>.</summary>
static class PreTokenizerReader
{
    internal static PreTokenizer Read(JsonNode node) => node.Type switch
    {
        "Sequence" => new PreTokenizer.Sequence([.. node.Required("pretokenizers").Items().Select(Read)]),
        "ByteLevel" => new PreTokenizer.ByteLevel(node.Boolean("add_prefix_space", true), node.Boolean("use_regex", true)),
        "Split" => ReadSplit(node),
        "Digits" => new PreTokenizer.Cut(new Splitter(Splitter.Each(IsNumeric),
            node.Boolean("individual_digits", false) ? SplitBehavior.Isolated : SplitBehavior.Contiguous, inverted: false)),
        var type => throw node.Wrong($"the pre-tokenizer '{type}' is not supported."),
    };

    static PreTokenizer.Cut ReadSplit(JsonNode node)
    {
        var pattern = node.Required("pattern");
        var find = pattern.Optional("String") is { } literal
            ? Splitter.Literal(literal.AsString())
            : PatternFinder(new Pattern(pattern.Required("Regex").AsString()));
        return new PreTokenizer.Cut(new Splitter(find, ReadBehavior(node.Required("behavior")), node.Boolean("invert", false)));
    }

    static Action<string, Action<int, int>> PatternFinder(Pattern pattern) => (text, found) => pattern.ForEachMatch(text, found);

    static SplitBehavior ReadBehavior(JsonNode node) => node.AsString() switch
    {
        "Removed" => SplitBehavior.Removed,
        "Isolated" => SplitBehavior.Isolated,
        "MergedWithPrevious" => SplitBehavior.MergedWithPrevious,
        "MergedWithNext" => SplitBehavior.MergedWithNext,
        "Contiguous" => SplitBehavior.Contiguous,
        var other => throw node.Wrong($"'{other}' is not a split behavior."),
    };

    // Rust's char::is_numeric: every number category, not only decimal digits.
    static bool IsNumeric(int c) => System.Globalization.CharUnicodeInfo.GetUnicodeCategory(c)
        is System.Globalization.UnicodeCategory.DecimalDigitNumber
        or System.Globalization.UnicodeCategory.LetterNumber
        or System.Globalization.UnicodeCategory.OtherNumber;
}
