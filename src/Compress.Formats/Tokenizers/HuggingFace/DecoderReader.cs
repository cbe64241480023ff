using System.Text;

namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>Reads the <c>decoder</c> of a <c>tokenizer.json</c>.</summary>
static class DecoderReader
{
    static readonly (string From, string To)[] CleanUps =
    [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" do not", " don't"),
        (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ];

    internal static Decoder Read(JsonNode node) => node.Type switch
    {
        "Sequence" => new Decoder.Sequence([.. node.Required("decoders").Steps().Select(Read)]),
        "ByteLevel" => new Decoder.ByteLevel(),
        "ByteFallback" => new Decoder.ByteFallback(),
        "Fuse" => new Decoder.Fuse(),
        "Replace" => ReadReplace(node),
        "Strip" => ReadStrip(node),
        "Metaspace" => ReadMetaspace(node),
        "WordPiece" => ReadWordPiece(node),
        "BPEDecoder" => ReadBpe(node),
        var type => throw node.Wrong($"the decoder '{type}' is not supported."),
    };

    static Decoder.Each ReadReplace(JsonNode node)
    {
        var replace = new Normalizer.Replace(FinderReader.Read(node.Required("pattern")), node.Required("content").AsString());
        return new Decoder.Each((_, _, token) => replace.Normalize(token));
    }

    static Decoder.Each ReadStrip(JsonNode node)
    {
        var content = PreTokenizerReader.ReadCharacter(node.Required("content"));
        var (start, stop) = (node.Integer("start", 0), node.Integer("stop", 0));
        return new Decoder.Each((_, _, token) =>
        {
            for (var i = 0; i < start && token.StartsWith(content, StringComparison.Ordinal); i++) token = token[content.Length..];
            for (var i = 0; i < stop && token.EndsWith(content, StringComparison.Ordinal); i++) token = token[..^content.Length];
            return token;
        });
    }

    // The first token loses the character rather than turning it into a space, since encoding put it there.
    static Decoder.Each ReadMetaspace(JsonNode node)
    {
        var replacement = PreTokenizerReader.ReadCharacter(node.Required("replacement"));
        var prepends = MetaspaceScheme.Read(node) != PrependScheme.Never;
        return new Decoder.Each((i, _, token) => token.Replace(replacement, i == 0 && prepends ? "" : " ", StringComparison.Ordinal));
    }

    static Decoder.Each ReadWordPiece(JsonNode node)
    {
        var prefix = node.String("prefix", "##");
        var cleanUp = node.Boolean("cleanup", true);
        return new Decoder.Each((i, _, token) =>
        {
            if (i > 0) token = token.StartsWith(prefix, StringComparison.Ordinal) ? token[prefix.Length..] : " " + token;
            return cleanUp ? CleanUp(token) : token;
        });
    }

    static string CleanUp(string token)
    {
        var text = new StringBuilder(token);
        foreach (var (from, to) in CleanUps) text.Replace(from, to);
        return text.ToString();
    }

    static Decoder.Each ReadBpe(JsonNode node)
    {
        var suffix = node.String("suffix", "</w>");
        return new Decoder.Each((i, count, token) =>
            suffix.Length == 0 ? token : token.Replace(suffix, i == count - 1 ? "" : " ", StringComparison.Ordinal));
    }
}
