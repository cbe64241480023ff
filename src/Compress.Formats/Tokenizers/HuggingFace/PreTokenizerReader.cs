using System.Globalization;
using Compress.Formats.Tokenizers.Patterns;

namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>Reads the <c>pre_tokenizer</c> of a <c>tokenizer.json</c>.</summary>
static class PreTokenizerReader
{
    internal static PreTokenizer Read(JsonNode node) => node.Type switch
    {
        "Sequence" => new PreTokenizer.Sequence([.. node.Required("pretokenizers").Steps().Select(Read)]),
        "ByteLevel" => new PreTokenizer.ByteLevel(node.Boolean("add_prefix_space", true), node.Boolean("use_regex", true)),
        "Metaspace" => ReadMetaspace(node),
        "Split" => Cut(FinderReader.Read(node.Required("pattern")), ReadBehavior(node.Required("behavior")), node.Boolean("invert", false)),
        "Digits" => Cut(Splitter.Each(IsNumeric),
            node.Boolean("individual_digits", false) ? SplitBehavior.Isolated : SplitBehavior.Contiguous),
        "Whitespace" => Cut(ByPattern(@"[\w\u200C\u200D]+|[^\w\u200C\u200D\s]+"), SplitBehavior.Removed, inverted: true),
        "WhitespaceSplit" => Cut(Splitter.Each(CodePointSet.IsWhiteSpace), SplitBehavior.Removed),
        "BertPreTokenizer" => new PreTokenizer.Sequence(
        [
            Cut(Splitter.Each(CodePointSet.IsWhiteSpace), SplitBehavior.Removed),
            Cut(Splitter.Each(IsPunctuation), SplitBehavior.Isolated),
        ]),
        "Punctuation" => Cut(Splitter.Each(IsPunctuation),
            node.Optional("behavior") is { } behavior ? ReadBehavior(behavior) : SplitBehavior.Isolated),
        "CharDelimiterSplit" => Cut(Splitter.Literal(ReadCharacter(node.Required("delimiter"))), SplitBehavior.Removed),
        var type => throw node.Wrong($"the pre-tokenizer '{type}' is not supported."),
    };

    static PreTokenizer.Cut Cut(Action<string, Action<int, int>> find, SplitBehavior behavior, bool inverted = false) =>
        new(new Splitter(find, behavior, inverted));

    static Action<string, Action<int, int>> ByPattern(string source)
    {
        var pattern = new Pattern(source);
        return (text, found) => pattern.ForEachMatch(text, found);
    }

    static PreTokenizer.Metaspace ReadMetaspace(JsonNode node) =>
        new(ReadCharacter(node.Required("replacement")), MetaspaceScheme.Read(node), node.Boolean("split", true));

    internal static string ReadCharacter(JsonNode node)
    {
        var text = node.AsString();
        return text.EnumerateRunes().Count() == 1 ? text : throw node.Wrong($"'{text}' is not a single character.");
    }

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
    static bool IsNumeric(int c) => CharUnicodeInfo.GetUnicodeCategory(c)
        is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;

    static bool IsPunctuation(int c) => c < 128
        ? c is (>= '!' and <= '/') or (>= ':' and <= '@') or (>= '[' and <= '`') or (>= '{' and <= '~')
        : CharUnicodeInfo.GetUnicodeCategory(c) is UnicodeCategory.ConnectorPunctuation or UnicodeCategory.DashPunctuation
            or UnicodeCategory.OpenPunctuation or UnicodeCategory.ClosePunctuation or UnicodeCategory.InitialQuotePunctuation
            or UnicodeCategory.FinalQuotePunctuation or UnicodeCategory.OtherPunctuation;
}
