namespace Compress.Formats.Tokenizers;

/// <summary>Byte-pair merges by rank, applied to a row of symbols: always the lowest rank, leftmost first (Sennrich et al. 2016, arXiv 1508.07909).</summary>
sealed class BpeMerges
{
    const int ShortWord = 24;
    readonly Dictionary<long, (int Rank, int Id)> merges;

    internal BpeMerges(Dictionary<long, (int Rank, int Id)> merges) => this.merges = merges;

    // One to one, and mixed: .NET hashes a long by folding its halves, which would put every pair of equal symbols in one bucket.
    internal static long Key(int left, int right) => (((long)left << 32) | (uint)right) * unchecked((long)0x9E3779B97F4A7C15);

    /// <summary>Merges in place and returns how many symbols are left.</summary>
    internal int Apply(Span<int> symbols) => symbols.Length <= ShortWord ? ApplyByScan(symbols) : ApplyByHeap(symbols);

    int ApplyByScan(Span<int> symbols)
    {
        var count = symbols.Length;
        Span<(int Rank, int Id)> pairs = stackalloc (int, int)[ShortWord];
        for (var i = 0; i + 1 < count; i++) pairs[i] = Pair(symbols[i], symbols[i + 1]);
        while (count > 1)
        {
            var best = 0;
            for (var i = 1; i + 1 < count; i++)
            {
                if (pairs[i].Rank < pairs[best].Rank) best = i;
            }
            if (pairs[best].Rank == int.MaxValue) break;
            symbols[best] = pairs[best].Id;
            symbols[(best + 2)..count].CopyTo(symbols[(best + 1)..]);
            pairs[(best + 1)..count].CopyTo(pairs[best..]);
            count--;
            if (best > 0) pairs[best - 1] = Pair(symbols[best - 1], symbols[best]);
            if (best + 1 < count) pairs[best] = Pair(symbols[best], symbols[best + 1]);
        }
        return count;
    }

    (int Rank, int Id) Pair(int left, int right) => merges.TryGetValue(Key(left, right), out var merge) ? merge : (int.MaxValue, -1);

    int ApplyByHeap(Span<int> symbols)
    {
        var next = new int[symbols.Length];
        var previous = new int[symbols.Length];
        var heap = new PriorityQueue<int, ulong>(symbols.Length);
        for (var i = 0; i < symbols.Length; i++)
        {
            next[i] = i + 1 < symbols.Length ? i + 1 : -1;
            previous[i] = i - 1;
            if (i > 0) Offer(heap, symbols, i - 1, i);
        }
        while (heap.TryDequeue(out var left, out var priority))
        {
            var right = symbols[left] < 0 ? -1 : next[left];
            // The entry is stale where either symbol was merged since; ranks tell pairs apart.
            if (right < 0 || Pair(symbols[left], symbols[right]) is var merge && merge.Rank != (int)(priority >> 32)) continue;
            symbols[left] = merge.Id;
            symbols[right] = -1;
            next[left] = next[right];
            if (next[left] >= 0) previous[next[left]] = left;
            if (previous[left] >= 0) Offer(heap, symbols, previous[left], left);
            if (next[left] >= 0) Offer(heap, symbols, left, next[left]);
        }
        var count = 0;
        for (var i = 0; i >= 0; i = next[i]) symbols[count++] = symbols[i];
        return count;
    }

    void Offer(PriorityQueue<int, ulong> heap, ReadOnlySpan<int> symbols, int left, int right)
    {
        if (merges.TryGetValue(Key(symbols[left], symbols[right]), out var merge))
        {
            heap.Enqueue(left, ((ulong)merge.Rank << 32) | (uint)left);
        }
    }
}
