namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>Splits pieces before the model sees them; merges never cross a split.</summary>
abstract class PreTokenizer
{
    /// <summary>Appends the parts of one piece; never an empty one.</summary>
    internal abstract void Split(Piece piece, List<Piece> parts);

    /// <summary>Pre-tokenizers one after the other.</summary>
    internal sealed class Sequence(IReadOnlyList<PreTokenizer> items) : PreTokenizer
    {
        internal override void Split(Piece piece, List<Piece> parts)
        {
            var current = new List<Piece> { piece };
            foreach (var item in items)
            {
                var next = new List<Piece>(current.Count);
                foreach (var part in current) item.Split(part, next);
                Growth.Check(piece.Text.Length, next.Sum(part => (long)part.Text.Length));
                current = next;
            }
            parts.AddRange(current);
        }
    }

    /// <summary>Words by GPT-2's pattern (unless another pre-tokenizer did that), then bytes as printable characters.</summary>
    internal sealed class ByteLevel(bool addPrefixSpace, bool useRegex) : PreTokenizer
    {
        static readonly Splitter Words = new(
            new Patterns.Pattern(PublishedPatterns.Gpt2), SplitBehavior.Isolated, inverted: false);

        internal override void Split(Piece piece, List<Piece> parts)
        {
            var text = addPrefixSpace && !piece.Text.StartsWith(' ') ? " " + piece.Text : piece.Text;
            if (!useRegex)
            {
                parts.Add(piece with { Text = ByteAlphabet.Encode(text) });
                return;
            }
            Words.Split(text, (start, length) => parts.Add(new Piece(ByteAlphabet.Encode(text.AsSpan(start, length)), piece.First && start == 0)));
        }
    }

    /// <summary>Cuts at what a splitter finds.</summary>
    internal sealed class Cut(Splitter splitter) : PreTokenizer
    {
        internal override void Split(Piece piece, List<Piece> parts) => splitter.Split(piece.Text, (start, length) =>
            parts.Add(new Piece(piece.Text.Substring(start, length), piece.First && start == 0)));
    }

    /// <summary>Spaces as a visible character, with one before the text, and a cut before each.</summary>
    internal sealed class Metaspace(string replacement, PrependScheme scheme, bool split) : PreTokenizer
    {
        readonly Splitter splitter = new(Splitter.Literal(replacement), SplitBehavior.MergedWithNext, inverted: false);

        internal override void Split(Piece piece, List<Piece> parts)
        {
            var text = piece.Text.Replace(" ", replacement, StringComparison.Ordinal);
            var prepends = scheme == PrependScheme.Always || (scheme == PrependScheme.First && piece.First);
            if (prepends && !text.StartsWith(replacement, StringComparison.Ordinal)) text = replacement + text;
            if (!split) parts.Add(piece with { Text = text });
            else splitter.Split(text, (start, length) => parts.Add(new Piece(text.Substring(start, length), piece.First && start == 0)));
        }
    }
}
