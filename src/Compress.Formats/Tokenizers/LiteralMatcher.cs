using System.Buffers;

namespace Compress.Formats.Tokenizers;

/// <summary>Finds the longest of many literal texts at a position, through a trie of UTF-16 units.</summary>
sealed class LiteralMatcher
{
    const int LongestLiteral = 1024;
    readonly Dictionary<(int Node, char Next), int> edges = [];
    readonly List<int> values = [-1];
    readonly SearchValues<char> firsts;

    /// <summary>Takes the literals; their index is what a match returns. Empty ones are never found, equal ones give the first.</summary>
    /// <exception cref="FormatException">A literal is longer than any honest token.</exception>
    internal LiteralMatcher(IEnumerable<string> literals)
    {
        var index = 0;
        var starts = new HashSet<char>();
        foreach (var literal in literals)
        {
            if (literal.Length > LongestLiteral) throw new FormatException($"the token '{literal[..40]}…' is longer than {LongestLiteral} characters");
            if (literal.Length > 0)
            {
                Insert(literal, index);
                starts.Add(literal[0]);
            }
            index++;
        }
        firsts = SearchValues.Create([.. starts]);
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
        var node = 0;
        for (var i = 0; i < text.Length && edges.TryGetValue((node, text[i]), out node); i++)
        {
            if (values[node] < 0) continue;
            (length, index) = (i + 1, values[node]);
        }
        return index >= 0;
    }

    void Insert(string literal, int index)
    {
        var node = 0;
        foreach (var c in literal)
        {
            if (!edges.TryGetValue((node, c), out var next))
            {
                next = values.Count;
                values.Add(-1);
                edges.Add((node, c), next);
            }
            node = next;
        }
        if (values[node] < 0) values[node] = index;
    }
}
