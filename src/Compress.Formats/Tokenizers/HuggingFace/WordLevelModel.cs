namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>One id for each piece.</summary>
sealed class WordLevelModel : IModel
{
    readonly string unknown;
    readonly int? unknownId;

    internal WordLevelModel(JsonNode node)
    {
        Vocabulary = VocabularyReader.FromObject(node.Required("vocab"));
        unknown = node.String("unk_token", "<unk>");
        unknownId = Vocabulary.TryGetId(unknown, out var id) ? id : null;
    }

    /// <inheritdoc/>
    public Vocabulary Vocabulary { get; }

    /// <inheritdoc/>
    public void Tokenize(string piece, List<int> ids) => ids.Add(Vocabulary.TryGetId(piece, out var id)
        ? id
        : unknownId ?? throw new FormatException($"'{piece}' is not in the vocabulary, nor is the unknown token '{unknown}'"));
}
