using System.Buffers;

namespace Compress.Formats.Tokenizers;

/// <summary>Finds the longest of many literal texts at a position.</summary>
sealed class LiteralMatcher
{
    const int LongestLiteral = 1024;
    readonly CharTrie trie;
    readonly SearchValues<char> firsts;

    /// <summary>Takes the literals; their index is what a match returns. Empty ones are never found, equal ones give the first.</summary>
    /// <exception cref="FormatException">A literal is longer than any honest token.</exception>
    internal LiteralMatcher(IReadOnlyList<string> literals)
    {
        if (literals.FirstOrDefault(l => l.Length > LongestLiteral) is { } endless)
        {
            throw new FormatException($"the token '{endless[..40]}…' is longer than {LongestLiteral} characters");
        }
        trie = new CharTrie(literals);
        firsts = SearchValues.Create([.. literals.Where(l => l.Length > 0).Select(l => l[0]).Distinct()]);
    }

    /// <summary>The next match at or after <paramref name="from"/>: leftmost, then longest.</summary>
    internal bool TryFind(ReadOnlySpan<char> text, int from, out int start, out int length, out int index)
    {
        for (start = from; start < text.Length; start++)
        {
            var skip = text[start..].IndexOfAny(firsts);
            if (skip < 0) break;
            start += skip;
            if (TryMatch(text[start..], out length, out index)) return true;
        }
        (start, length, index) = (text.Length, 0, -1);
        return false;
    }

    /// <summary>The longest literal that the text starts with.</summary>
    internal bool TryMatch(ReadOnlySpan<char> text, out int length, out int index)
    {
        (length, index) = (0, -1);
        var node = CharTrie.Root;
        for (var i = 0; i < text.Length && (node = trie.Next(node, text[i])) >= 0; i++)
        {
            if (trie.ValueAt(node) < 0) continue;
            (length, index) = (i + 1, trie.ValueAt(node));
        }
        return index >= 0;
    }
}
