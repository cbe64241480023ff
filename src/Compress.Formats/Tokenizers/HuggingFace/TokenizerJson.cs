namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>Reads Hugging Face's <c>tokenizer.json</c> (the format of the <c>tokenizers</c> library, version 1.0).</summary>
static class TokenizerJson
{
    internal static Tokenizer Read(string file, byte[] bytes) => Read(file, bytes, SpecialNames.Read(file));

    internal static Tokenizer Read(string file, byte[] bytes, SpecialNames names)
    {
        using var document = JsonNode.Parse(file, bytes);
        var root = new JsonNode(file, "$", document.RootElement);
        try
        {
            return Build(root, names);
        }
        catch (FormatException e)
        {
            throw new ModelFileException(file, $"{e.Message}.", inner: e);
        }
    }

    static HuggingFaceTokenizer Build(JsonNode root, SpecialNames names)
    {
        var model = ReadModel(root.Required("model"));
        var preTokenizer = root.Optional("pre_tokenizer") is { } pre ? PreTokenizerReader.Read(pre) : null;
        var decoder = root.Optional("decoder") is { } node ? DecoderReader.Read(node) : null;
        var post = root.Optional("post_processor") is { } processor ? PostProcessor.Read(processor) : PostProcessor.Nothing;
        var normalizer = root.Optional("normalizer") is { } rewriting ? NormalizerReader.Read(rewriting) : null;
        var added = root.Optional("added_tokens") is { } list ? list.Items().Select(t => AddedToken.Read(t)) : [];
        var vocabulary = new AddedVocabulary(AddedVocabulary.Number(added, model.Vocabulary), text => normalizer?.Normalize(text) ?? text);
        return new HuggingFaceTokenizer(root.File, vocabulary, normalizer, preTokenizer, model, post, decoder, names);
    }

    static IModel ReadModel(JsonNode node)
    {
        // Files from before version 0.9 of the library do not name the type.
        var type = node.Optional("type")?.AsString()
            ?? (node.Optional("merges") is not null ? "BPE" : node.Optional("unk_id") is not null ? "Unigram" : "WordPiece");
        return type switch
        {
            "BPE" => new BpeModel(node),
            "Unigram" => new UnigramModel(node),
            "WordPiece" => new WordPieceModel(node),
            "WordLevel" => new WordLevelModel(node),
            _ => throw node.Wrong($"the model '{type}' is not supported."),
        };
    }
}
