using System.Text;

namespace Compress.Formats.Tokenizers.SentencePiece;

/// <summary>Cuts normalized text into pieces.</summary>
interface ISegmenter
{
    /// <summary>The pieces in order: start, length and id.</summary>
    IEnumerable<(int Start, int Length, int Id)> Segment(string text);
}

/// <summary>The four kinds of SentencePiece models.</summary>
static class Segmenters
{
    internal static ISegmenter Create(SentencePieceModel model, Dictionary<string, int> ids, int unknownId, LiteralMatcher? userDefined) =>
        model.Segmentation switch
        {
            SegmentationKind.Unigram => new Unigram(model, unknownId),
            SegmentationKind.Bpe => new Bpe(model, ids, unknownId, userDefined),
            SegmentationKind.Character => new Characters(ids, unknownId, userDefined),
            _ => new Words(ids, unknownId),
        };

    // The symbols that BPE and character models begin with: user-defined ones whole, else characters.
    static List<StringMerges.Symbol> Symbols(string text, LiteralMatcher? userDefined)
    {
        if (userDefined is null) return StringMerges.Characters(text);
        var symbols = new List<StringMerges.Symbol>(text.Length);
        for (int i = 0, length; i < text.Length; i += length)
        {
            var frozen = userDefined.TryMatch(text.AsSpan(i), out length, out _);
            if (!frozen) Rune.DecodeFromUtf16(text.AsSpan(i), out _, out length);
            symbols.Add(new StringMerges.Symbol(i, length, frozen));
        }
        return symbols;
    }

    sealed class Unigram : ISegmenter
    {
        const double UnknownPenalty = 10;
        readonly UnigramSegmenter segmenter;
        readonly int[] pieceIds;
        readonly int unknownId;

        internal Unigram(SentencePieceModel model, int unknownId)
        {
            this.unknownId = unknownId;
            pieceIds = [.. Enumerable.Range(0, model.Pieces.Count).Where(i => model.Pieces[i].Kind is PieceKind.Normal or PieceKind.UserDefined)];
            var normal = model.Pieces.Where(p => p.Kind == PieceKind.Normal).Select(p => p.Score).DefaultIfEmpty().ToArray();
            var (least, most) = (normal.Min(), normal.Max());
            double[] scores = [.. pieceIds.Select(i => Score(model.Pieces[i], most))];
            segmenter = new UnigramSegmenter(
                new CharTrie([.. pieceIds.Select(i => model.Pieces[i].Text)]), scores, (float)(least - UnknownPenalty), singlePrecision: true);
        }

        // A user-defined symbol outweighs any sequence of pieces over the same text (unigram_model.cc).
        static double Score(ModelPiece piece, float most) =>
            piece.Kind == PieceKind.UserDefined ? Encoding.UTF8.GetByteCount(piece.Text) * most - 0.1 : piece.Score;

        public IEnumerable<(int Start, int Length, int Id)> Segment(string text) =>
            segmenter.Segment(text).Select(s => (s.Start, s.Length, s.Piece < 0 ? unknownId : pieceIds[s.Piece]));
    }

    sealed class Bpe : ISegmenter
    {
        readonly StringMerges merges;
        readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> ids;
        readonly int unknownId;
        readonly LiteralMatcher? userDefined;

        internal Bpe(SentencePieceModel model, Dictionary<string, int> ids, int unknownId, LiteralMatcher? userDefined)
        {
            (this.ids, this.unknownId, this.userDefined) = (ids.GetAlternateLookup<ReadOnlySpan<char>>(), unknownId, userDefined);
            ModelPiece[] mergeable =
                [.. model.Pieces.Where(p => p.Kind is PieceKind.Normal or PieceKind.UserDefined or PieceKind.Unused)];
            var order = mergeable.Select(p => p.Score).Distinct().OrderDescending().Select((score, rank) => (score, rank))
                .ToDictionary(p => p.score, p => p.rank);
            var ranks = new Dictionary<string, int>();
            foreach (var piece in mergeable) ranks.TryAdd(piece.Text, order[piece.Score]);
            merges = new StringMerges(ranks, [.. mergeable.Where(p => p.Kind == PieceKind.Unused).Select(p => p.Text)]);
        }

        public IEnumerable<(int Start, int Length, int Id)> Segment(string text) => merges.Merge(text, Symbols(text, userDefined))
            .Select(s => (s.Start, s.Length, ids.TryGetValue(text.AsSpan(s.Start, s.Length), out var id) ? id : unknownId));
    }

    sealed class Characters(Dictionary<string, int> ids, int unknownId, LiteralMatcher? userDefined) : ISegmenter
    {
        readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> ids = ids.GetAlternateLookup<ReadOnlySpan<char>>();

        public IEnumerable<(int Start, int Length, int Id)> Segment(string text) => Symbols(text, userDefined)
            .Select(s => (s.Start, s.Length, ids.TryGetValue(text.AsSpan(s.Start, s.Length), out var id) ? id : unknownId));
    }

    sealed class Words(Dictionary<string, int> ids, int unknownId) : ISegmenter
    {
        public IEnumerable<(int Start, int Length, int Id)> Segment(string text)
        {
            for (int start = 0, end; start < text.Length; start = end)
            {
                end = text.IndexOf(SentencePieceNormalizer.Space, start + 1);
                if (end < 0) end = text.Length;
                yield return (start, end - start, ids.GetValueOrDefault(text[start..end], unknownId));
            }
        }
    }
}
