namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>Greedy longest-match-first pieces of a word (Devlin et al. 2018, wordpiece tokenizer).</summary>
sealed class WordPieceModel : IModel
{
    readonly string prefix;
    readonly int unknownId;
    readonly int longestWord;
    readonly int longestToken;

    internal WordPieceModel(JsonNode node)
    {
        Vocabulary = VocabularyReader.FromObject(node.Required("vocab"));
        prefix = node.String("continuing_subword_prefix", "##");
        longestWord = node.Integer("max_input_chars_per_word", 100);
        var unknown = node.String("unk_token", "[UNK]");
        if (!Vocabulary.TryGetId(unknown, out unknownId)) throw node.Wrong($"the unknown token '{unknown}' is not in the vocabulary.");
        longestToken = Vocabulary.Ids.Keys.Max(k => k.Length);
    }

    /// <inheritdoc/>
    public Vocabulary Vocabulary { get; }

    /// <inheritdoc/>
    public void Tokenize(string piece, List<int> ids)
    {
        var begin = ids.Count;
        if (piece.EnumerateRunes().Count() > longestWord || !TryCut(piece, ids))
        {
            ids.RemoveRange(begin, ids.Count - begin);
            ids.Add(unknownId);
        }
    }

    bool TryCut(string word, List<int> ids)
    {
        for (var start = 0; start < word.Length;)
        {
            var rest = word.AsSpan(start, Math.Min(word.Length - start, longestToken));
            var candidate = start == 0 ? rest : string.Concat(prefix, rest);
            var length = Longest(candidate, start == 0 ? 0 : prefix.Length, out var id);
            if (length <= 0) return false;
            ids.Add(id);
            start += length;
        }
        return true;
    }

    // How many characters of the word the longest token at the head of the text takes, beyond its first `least` ones.
    int Longest(ReadOnlySpan<char> text, int least, out int id)
    {
        for (var end = text.Length; end > least; end--)
        {
            if (end < text.Length && char.IsLowSurrogate(text[end])) continue;
            if (Vocabulary.TryGetId(text[..end], out id)) return end - least;
        }
        id = -1;
        return 0;
    }
}
