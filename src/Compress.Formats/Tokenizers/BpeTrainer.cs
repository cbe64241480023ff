using Compress.Formats.Tokenizers.Patterns;

namespace Compress.Formats.Tokenizers;

/// <summary>Trains a byte-level BPE tokenizer: words by Llama 3's pattern, then the most frequent pair merged again and again.</summary>
/// <remarks>
/// Sennrich, Haddow, Birch 2016 (arXiv 1508.07909) over bytes as in GPT-2. Equal counts are decided by the smaller pair of ids, so
/// that the result depends on the words and their counts alone, not on their order. Pair counts are kept in a heap whose entries are
/// corrected when they surface, and only words that hold the merged pair are visited.
/// </remarks>
public sealed class BpeTrainer
{
    readonly BpeTrainerOptions options;
    readonly List<string> tokens = [];
    readonly Dictionary<string, int> tokenIds = [];
    readonly List<(int Left, int Right)> merges = [];
    readonly List<(int[] Symbols, long Count)> words = [];
    readonly Dictionary<(int Left, int Right), Occurrences> pairs = [];
    readonly PriorityQueue<(int Left, int Right), (long NegativeCount, int Left, int Right)> heap = new();

    /// <summary>How often a pair occurs and in which words it may be found.</summary>
    sealed class Occurrences
    {
        internal long Count;
        internal readonly List<int> Words = [];
    }

    BpeTrainer(BpeTrainerOptions options) => this.options = options;

    /// <summary>Trains a tokenizer.</summary>
    /// <param name="texts">The texts, read once; lone surrogates count as U+FFFD.</param>
    /// <param name="options">Sizes and special tokens.</param>
    /// <returns>The tokenizer; smaller than asked for where no pair is frequent enough any more.</returns>
    /// <exception cref="ArgumentException">The options contradict one another.</exception>
    public static TrainedBpe Train(IEnumerable<string> texts, BpeTrainerOptions options)
    {
        options.Validate();
        var trainer = new BpeTrainer(options);
        trainer.AddBytes();
        trainer.AddWords(CountWords(texts));
        trainer.CountPairs();
        trainer.MergeAll();
        return new TrainedBpe(options, trainer.tokens, trainer.merges);
    }

    void AddBytes()
    {
        foreach (var token in options.SpecialTokens) AddToken(token);
        foreach (var c in Enumerable.Range(0, 256).Select(b => ByteAlphabet.CharacterOf((byte)b)).Order()) AddToken(c.ToString());
    }

    int AddToken(string token)
    {
        if (tokenIds.TryGetValue(token, out var known)) return known;
        tokenIds.Add(token, tokens.Count);
        tokens.Add(token);
        return tokens.Count - 1;
    }

    static Dictionary<string, long> CountWords(IEnumerable<string> texts)
    {
        var pattern = new Pattern(PublishedPatterns.Llama3);
        var counts = new Dictionary<string, long>();
        var lookup = counts.GetAlternateLookup<ReadOnlySpan<char>>();
        foreach (var text in texts.Select(UnicodeText.WellFormed))
        {
            pattern.ForEachMatch(text, (start, length) =>
            {
                var word = text.AsSpan(start, length);
                lookup[word] = lookup.TryGetValue(word, out var count) ? count + 1 : 1;
            });
        }
        return counts;
    }

    void AddWords(Dictionary<string, long> counts)
    {
        foreach (var (word, count) in counts.OrderBy(w => w.Key, StringComparer.Ordinal))
        {
            words.Add(([.. ByteAlphabet.Encode(word).Select(c => tokenIds[c.ToString()])], count));
        }
    }

    void CountPairs()
    {
        for (var w = 0; w < words.Count; w++)
        {
            var (symbols, count) = words[w];
            for (var i = 0; i + 1 < symbols.Length; i++) Change((symbols[i], symbols[i + 1]), count, w);
        }
        foreach (var (pair, found) in pairs) Offer(pair, found.Count);
    }

    void Change((int Left, int Right) pair, long by, int word)
    {
        if (!pairs.TryGetValue(pair, out var found)) pairs.Add(pair, found = new Occurrences());
        found.Count += by;
        if (by > 0 && (found.Words.Count == 0 || found.Words[^1] != word)) found.Words.Add(word);
    }

    void Offer((int Left, int Right) pair, long count) => heap.Enqueue(pair, (-count, pair.Left, pair.Right));

    void MergeAll()
    {
        while (tokens.Count < options.VocabularySize && heap.TryDequeue(out var pair, out var priority))
        {
            var found = pairs[pair];
            if (found.Count != -priority.NegativeCount)
            {
                if (found.Count >= options.MinimumFrequency) Offer(pair, found.Count);
                continue;
            }
            if (found.Count < options.MinimumFrequency) break;
            // A special token must never come out of ordinary text.
            if (!options.SpecialTokens.Contains(tokens[pair.Left] + tokens[pair.Right])) Merge(pair.Left, pair.Right, found);
        }
    }

    void Merge(int left, int right, Occurrences found)
    {
        var merged = AddToken(tokens[left] + tokens[right]);
        merges.Add((left, right));
        var grown = new HashSet<(int Left, int Right)>();
        foreach (var word in found.Words) MergeIn(word, left, right, merged, grown);
        foreach (var pair in grown) Offer(pair, pairs[pair].Count);
        found.Count = 0;
        found.Words.Clear();
    }

    void MergeIn(int word, int left, int right, int merged, HashSet<(int Left, int Right)> grown)
    {
        var (symbols, count) = words[word];
        if (!Holds(symbols, left, right)) return;
        var shorter = new List<int>(symbols.Length);
        for (var i = 0; i < symbols.Length; i++)
        {
            var hit = symbols[i] == left && i + 1 < symbols.Length && symbols[i + 1] == right;
            shorter.Add(hit ? merged : symbols[i]);
            if (hit) i++;
        }
        for (var i = 0; i + 1 < symbols.Length; i++) Change((symbols[i], symbols[i + 1]), -count, word);
        for (var i = 0; i + 1 < shorter.Count; i++)
        {
            var pair = (shorter[i], shorter[i + 1]);
            Change(pair, count, word);
            if (shorter[i] == merged || shorter[i + 1] == merged) grown.Add(pair);
        }
        words[word] = ([.. shorter], count);
    }

    static bool Holds(int[] symbols, int left, int right)
    {
        for (var i = 0; i + 1 < symbols.Length; i++)
        {
            if (symbols[i] == left && symbols[i + 1] == right) return true;
        }
        return false;
    }
}
