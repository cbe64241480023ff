using Compress.Formats.Tokenizers.Patterns;

namespace Compress.Formats.Tokenizers;

/// <summary>The segmentation of highest probability under a unigram language model (Kudo 2018, arXiv 1804.10959), by one forward pass.</summary>
/// <remarks>
/// Two published implementations differ in their last bits: SentencePiece keeps path scores in single precision, Hugging Face in
/// double. Equal scores are decided by the path met first, so the precision decides between near-equal segmentations.
/// </remarks>
/// <param name="trie">The pieces; a key's index is its place in <paramref name="scores"/>.</param>
/// <param name="scores">Log probabilities.</param>
/// <param name="unknownScore">Log probability of a character that is no piece.</param>
/// <param name="singlePrecision">Whether path scores are rounded to single precision.</param>
sealed class UnigramSegmenter(CharTrie trie, double[] scores, double unknownScore, bool singlePrecision)
{
    /// <summary>The best path, as pieces from the first to the last: start, length and index (-1: unknown).</summary>
    internal List<(int Start, int Length, int Piece)> Segment(ReadOnlySpan<char> text)
    {
        var best = new double[text.Length + 1];
        var starts = new int[text.Length + 1];
        var pieces = new int[text.Length + 1];
        Array.Fill(starts, -1);
        for (var start = 0; start < text.Length;)
        {
            CodePointSet.CodePointAt(text, start, out var single);
            if (!Extend(text, start, start + single, best, starts, pieces))
            {
                var unknown = unknownScore + best[start];
                Improve(start + single, start, -1, singlePrecision ? (float)unknown : unknown, best, starts, pieces);
            }
            start += single;
        }
        return Trace(text.Length, starts, pieces);
    }

    // Offers every piece that begins here; tells whether one of them is the single character.
    bool Extend(ReadOnlySpan<char> text, int start, int afterOne, double[] best, int[] starts, int[] pieces)
    {
        var hasSingle = false;
        var node = CharTrie.Root;
        for (var end = start; end < text.Length && (node = trie.Next(node, text[end])) >= 0;)
        {
            end++;
            var piece = trie.ValueAt(node);
            if (piece < 0) continue;
            Improve(end, start, piece, scores[piece] + best[start], best, starts, pieces);
            hasSingle |= end == afterOne;
        }
        return hasSingle;
    }

    void Improve(int end, int start, int piece, double score, double[] best, int[] starts, int[] pieces)
    {
        if (starts[end] >= 0 && score <= best[end]) return;
        best[end] = singlePrecision ? (float)score : score;
        starts[end] = start;
        pieces[end] = piece;
    }

    static List<(int Start, int Length, int Piece)> Trace(int end, int[] starts, int[] pieces)
    {
        var path = new List<(int, int, int)>();
        while (end > 0)
        {
            path.Add((starts[end], end - starts[end], pieces[end]));
            end = starts[end];
        }
        path.Reverse();
        return path;
    }
}
