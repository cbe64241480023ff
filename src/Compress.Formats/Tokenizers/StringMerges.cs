using Compress.Formats.Tokenizers.Patterns;

namespace Compress.Formats.Tokenizers;

/// <summary>Byte-pair merges over substrings: two neighbours merge where their joined text is a piece, the best rank first, then leftmost.</summary>
/// <remarks>This is how SentencePiece, llama2.c and tiktoken define BPE: by the merged text, not by a list of pairs.</remarks>
sealed class StringMerges
{
    readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> ranks;
    readonly int longest;
    readonly HashSet<string>? unused;

    /// <summary>Takes the rank of every piece (lower merges first) and the pieces that may be passed through but not be given out.</summary>
    internal StringMerges(Dictionary<string, int> ranks, HashSet<string>? unused = null)
    {
        this.ranks = ranks.GetAlternateLookup<ReadOnlySpan<char>>();
        this.unused = unused is { Count: > 0 } ? unused : null;
        longest = ranks.Count == 0 ? 0 : ranks.Keys.Max(k => k.Length);
    }

    /// <summary>A symbol: where it begins, how long it is, whether it must stay as it is.</summary>
    internal record struct Symbol(int Start, int Length, bool Frozen);

    /// <summary>One symbol for each code point.</summary>
    internal static List<Symbol> Characters(ReadOnlySpan<char> text)
    {
        var symbols = new List<Symbol>(text.Length);
        for (int i = 0, length; i < text.Length; i += length)
        {
            CodePointSet.CodePointAt(text, i, out length);
            symbols.Add(new Symbol(i, length, Frozen: false));
        }
        return symbols;
    }

    /// <summary>Merges adjacent symbols that cover the text and returns what is left, in order.</summary>
    internal List<Symbol> Merge(string text, List<Symbol> list)
    {
        var symbols = list.ToArray();
        var next = new int[symbols.Length];
        var previous = new int[symbols.Length];
        var heap = new PriorityQueue<(int Left, int Length), ulong>(symbols.Length);
        var splits = unused is null ? null : new Dictionary<string, int>();
        for (var i = 0; i < symbols.Length; i++)
        {
            next[i] = i + 1 < symbols.Length ? i + 1 : -1;
            previous[i] = i - 1;
            if (i > 0) Offer(text, symbols, i - 1, i, heap, splits);
        }
        while (heap.TryDequeue(out var pair, out _))
        {
            var right = symbols[pair.Left].Length == 0 ? -1 : next[pair.Left];
            // The entry is stale where either symbol has grown or gone since.
            if (right < 0 || symbols[pair.Left].Length + symbols[right].Length != pair.Length) continue;
            symbols[pair.Left].Length = pair.Length;
            symbols[right].Length = 0;
            next[pair.Left] = next[right];
            if (next[right] >= 0) previous[next[right]] = pair.Left;
            if (previous[pair.Left] >= 0) Offer(text, symbols, previous[pair.Left], pair.Left, heap, splits);
            if (next[pair.Left] >= 0) Offer(text, symbols, pair.Left, next[pair.Left], heap, splits);
        }
        var merged = new List<Symbol>();
        for (var i = symbols.Length == 0 ? -1 : 0; i >= 0; i = next[i]) Unfold(text, symbols[i], splits, merged);
        return merged;
    }

    void Offer(
        string text, Symbol[] symbols, int left, int right, PriorityQueue<(int Left, int Length), ulong> heap, Dictionary<string, int>? splits)
    {
        var length = symbols[left].Length + symbols[right].Length;
        if (length > longest || symbols[left].Frozen || symbols[right].Frozen) return;
        var piece = text.AsSpan(symbols[left].Start, length);
        if (!ranks.TryGetValue(piece, out var rank)) return;
        heap.Enqueue((left, length), ((ulong)(uint)rank << 32) | (uint)left);
        if (splits is null) return;
        var key = piece.ToString();
        if (unused!.Contains(key)) splits[key] = symbols[left].Length;
    }

    // A piece that is marked unused is given out as the two it was merged from.
    static void Unfold(string text, Symbol symbol, Dictionary<string, int>? splits, List<Symbol> output)
    {
        var pending = new Stack<Symbol>([symbol]);
        while (pending.TryPop(out var now))
        {
            if (splits is null || !splits.TryGetValue(text.Substring(now.Start, now.Length), out var left))
            {
                output.Add(now);
                continue;
            }
            pending.Push(now with { Start = now.Start + left, Length = now.Length - left });
            pending.Push(now with { Length = left });
        }
    }
}
