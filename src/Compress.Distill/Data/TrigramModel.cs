namespace Compress.Distill.Data;

/// <summary>Counts of single tokens and of token triples, to say what a language model must beat.</summary>
/// <remarks>
/// <see cref="Trigram"/> is interpolated Kneser-Ney with one discount D = 0.75: Chen and Goodman 1999, "An empirical study of
/// smoothing techniques for language modeling", section 4.1.6. With c the counts and N₊ the number of distinct continuations,
/// <c>P₃(w|uv) = max(c(uvw)−D, 0)/c(uv) + D·N₊(uv•)/c(uv) · P₂(w|v)</c>,
/// <c>P₂(w|v) = max(N₊(•vw)−D, 0)/N₊(•v•) + D·N₊(v•)/N₊(•v•) · P₁(w)</c>,
/// <c>P₁(w) = max(N₊(•w)−D, 0)/N₊(••) + D·|{w: N₊(•w) > 0}|/N₊(••) · 1/V</c>; a context that was never seen falls through.
/// <see cref="Unigram"/> is <c>(c(w)+1)/(n+V)</c>. N₊(v•) counts the words w with N₊(•vw) > 0.
/// </remarks>
public sealed class TrigramModel
{
    const double Discount = 0.75;
    const int VocabularyMask = (1 << 21) - 1;

    readonly int vocabulary;
    readonly long[] counts;
    readonly long total;
    readonly Dictionary<ulong, int> triples = [];
    readonly Dictionary<ulong, Context> pairContexts = [];
    readonly Dictionary<ulong, int> pairTypes = [];
    readonly Dictionary<ulong, Context> singleContexts = [];
    readonly int[] precedingTypes;
    readonly long pairTypeCount;
    readonly int seenTypes;

    /// <summary>What follows a context: how often anything does, and how many different tokens do.</summary>
    record struct Context(long Total, int Distinct);

    /// <summary>Counts documents; no triple crosses from one to the next.</summary>
    /// <param name="documents">Token ids of each document.</param>
    /// <param name="vocabulary">Number of tokens, at most 2²¹.</param>
    public TrigramModel(IEnumerable<int[]> documents, int vocabulary)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(vocabulary, 1 << 21);
        this.vocabulary = vocabulary;
        counts = new long[vocabulary];
        precedingTypes = new int[vocabulary];
        var pairs = new HashSet<ulong>();
        foreach (var document in documents)
        {
            for (var i = 0; i < document.Length; i++)
            {
                counts[document[i]]++;
                total++;
                if (i > 0) pairs.Add(Key(document[i - 1], document[i]));
                if (i > 1) Increment(triples, Key(document[i - 2], document[i - 1], document[i]));
            }
        }
        foreach (var (triple, count) in triples)
        {
            Extend(pairContexts, triple >> 21, count);
            Increment(pairTypes, triple & Key(VocabularyMask, VocabularyMask));
        }
        // A pair at the beginning of a document has no token before it, but it is a pair that was seen.
        foreach (var pair in pairs) pairTypes.TryAdd(pair, 1);
        foreach (var (pair, types) in pairTypes) Extend(singleContexts, pair >> 21, types);
        foreach (var pair in pairs) precedingTypes[(int)(pair & VocabularyMask)]++;
        pairTypeCount = pairs.Count;
        seenTypes = precedingTypes.Count(n => n > 0);
    }

    /// <summary>Probability of a token whatever comes before it.</summary>
    public double Unigram(int token) => (counts[token] + 1.0) / (total + vocabulary);

    /// <summary>Probability of a token after two others.</summary>
    /// <param name="before">Token two places before.</param>
    /// <param name="last">Token just before.</param>
    /// <param name="token">The token.</param>
    public double Trigram(int before, int last, int token)
    {
        var lower = Bigram(last, token);
        return pairContexts.TryGetValue(Key(before, last), out var context)
            ? Interpolate(triples.GetValueOrDefault(Key(before, last, token)), context, lower)
            : lower;
    }

    /// <summary>Mean negative log-probability in nats of the tokens of a text from the third on, by both models.</summary>
    /// <param name="tokens">The text.</param>
    public (double Unigram, double Trigram) Loss(ReadOnlySpan<int> tokens)
    {
        double unigram = 0, trigram = 0;
        for (var i = 2; i < tokens.Length; i++)
        {
            unigram -= Math.Log(Unigram(tokens[i]));
            trigram -= Math.Log(Trigram(tokens[i - 2], tokens[i - 1], tokens[i]));
        }
        var scored = tokens.Length - 2;
        return (unigram / scored, trigram / scored);
    }

    double Bigram(int last, int token)
    {
        var lower = Continuation(token);
        return singleContexts.TryGetValue((ulong)last, out var context)
            ? Interpolate(pairTypes.GetValueOrDefault(Key(last, token)), context, lower)
            : lower;
    }

    double Continuation(int token) => pairTypeCount == 0
        ? 1.0 / vocabulary
        : Interpolate(precedingTypes[token], new Context(pairTypeCount, seenTypes), 1.0 / vocabulary);

    static double Interpolate(int count, Context context, double lower) =>
        (Math.Max(count - Discount, 0) + Discount * context.Distinct * lower) / context.Total;

    static ulong Key(int first, int second) => (ulong)first << 21 | (uint)second;

    static ulong Key(int first, int second, int third) => Key(first, second) << 21 | (uint)third;

    static void Increment(Dictionary<ulong, int> table, ulong key) =>
        System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(table, key, out _)++;

    static void Extend(Dictionary<ulong, Context> table, ulong key, int count)
    {
        ref var context = ref System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(table, key, out _);
        context = new Context(context.Total + count, context.Distinct + 1);
    }
}
