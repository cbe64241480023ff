using System.Text;

namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>The unigram language model of Hugging Face's <c>Unigram</c>.</summary>
sealed class UnigramModel : IModel
{
    // unigram/model.rs: an unknown character costs ten more than the least likely piece.
    const double UnknownPenalty = 10;
    readonly UnigramSegmenter segmenter;
    readonly int[] ids;
    readonly int? unknownId;
    readonly int[]? byteIds;

    internal UnigramModel(JsonNode node)
    {
        var list = node.Required("vocab");
        var tokens = new List<string>();
        var scores = new List<double>();
        foreach (var entry in list.Items())
        {
            var parts = entry.Items().Take(3).ToArray();
            if (parts.Length != 2) throw entry.Wrong("is not a token with its score.");
            tokens.Add(parts[0].AsString());
            scores.Add(parts[1].AsDouble());
        }
        if (tokens.Count is 0 or >= Vocabulary.MaximumSize) throw list.Wrong($"has {tokens.Count} tokens.");
        Vocabulary = Vocabulary.FromList(tokens);
        unknownId = node.Optional("unk_id")?.AsId();
        if (unknownId >= tokens.Count) throw node.Wrong($"unk_id {unknownId} is outside the vocabulary of {tokens.Count}.");
        if (node.Boolean("byte_fallback", false)) byteIds = BpeModel.FindByteIds(Vocabulary);
        // The last of equal tokens is the one that counts.
        ids = [.. tokens.Select(t => Vocabulary.TryGetId(t, out var id) ? id : -1)];
        double[] effective = [.. ids.Select(id => scores[id])];
        segmenter = new UnigramSegmenter(new CharTrie(tokens), effective, scores.Min() - UnknownPenalty, singlePrecision: false);
    }

    /// <inheritdoc/>
    public Vocabulary Vocabulary { get; }

    /// <inheritdoc/>
    public void Tokenize(string piece, List<int> output)
    {
        var path = segmenter.Segment(piece);
        for (var i = 0; i < path.Count; i++)
        {
            var (start, length, index) = path[i];
            if (index >= 0 && ids[index] != unknownId)
            {
                output.Add(ids[index]);
                continue;
            }
            // Unknown neighbours are one token.
            while (i + 1 < path.Count && (path[i + 1].Piece < 0 || ids[path[i + 1].Piece] == unknownId)) length += path[++i].Length;
            AddUnknown(piece.AsSpan(start, length), output);
        }
    }

    void AddUnknown(ReadOnlySpan<char> text, List<int> output)
    {
        if (unknownId is not { } unknown) throw new FormatException("the text holds a character outside the vocabulary, which has no unk_id");
        // Unknown characters joined may spell a token.
        if (Vocabulary.TryGetId(text, out var known)) output.Add(known);
        else if (!TryAddBytes(text, output)) output.Add(unknown);
    }

    bool TryAddBytes(ReadOnlySpan<char> text, List<int> output)
    {
        if (byteIds is null) return false;
        var bytes = new byte[Encoding.UTF8.GetByteCount(text)];
        Encoding.UTF8.GetBytes(text, bytes);
        if (bytes.Any(b => byteIds[b] < 0)) return false;
        output.AddRange(bytes.Select(b => byteIds[b]));
        return true;
    }
}
