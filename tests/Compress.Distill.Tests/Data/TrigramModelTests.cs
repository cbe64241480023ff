using Compress.Distill.Data;

namespace Compress.Distill.Tests.Data;

public sealed class TrigramModelTests
{
    const int Vocabulary = 7;

    /// <summary>Token 6 never occurs; 4 and 5 are each other's only neighbours.</summary>
    static readonly int[][] Documents = [[0, 1, 2, 0, 1, 3, 0, 1, 2], [4, 5, 4, 5], [2, 0, 3], [1]];

    readonly TrigramModel model = new(Documents, Vocabulary);

    [Fact]
    public void Probabilities_of_every_context_sum_to_one()
    {
        Assert.Equal(1, Enumerable.Range(0, Vocabulary).Sum(model.Unigram), 12);
        for (var u = 0; u < Vocabulary; u++)
        {
            for (var v = 0; v < Vocabulary; v++)
                Assert.Equal(1, Enumerable.Range(0, Vocabulary).Sum(w => model.Trigram(u, v, w)), 12);
        }
    }

    [Fact]
    public void Unigram_adds_one_to_each_count() => Assert.Equal((4 + 1.0) / (17 + 7), model.Unigram(0), 12);

    [Fact]
    public void Trigram_follows_the_formula_by_hand()
    {
        // c(0 1 2) = 2, c(0 1 •) = 3 with two different tokens.
        Assert.Equal((2 - 0.75) / 3 + 0.75 * 2 / 3 * Bigram(1, 2), model.Trigram(0, 1, 2), 12);
        // Context 3 2 was never seen: only the lower order speaks.
        Assert.Equal(Bigram(2, 0), model.Trigram(3, 2, 0), 12);
        // Nothing ever follows 6.
        Assert.Equal(Continuation(4), model.Trigram(6, 6, 4), 12);
    }

    [Fact]
    public void Loss_is_the_mean_over_scored_tokens()
    {
        var (unigram, trigram) = model.Loss([3, 0, 1, 2]);
        Assert.Equal(-(Math.Log(model.Unigram(1)) + Math.Log(model.Unigram(2))) / 2, unigram, 12);
        Assert.Equal(-(Math.Log(model.Trigram(3, 0, 1)) + Math.Log(model.Trigram(0, 1, 2))) / 2, trigram, 12);
    }

    // Distinct pairs: 01 12 20 13 30 | 45 54 | 20 03 → 01 12 20 13 30 45 54 03.
    static double Continuation(int w)
    {
        int[] preceding = [2, 1, 1, 2, 1, 1, 0];
        return (Math.Max(preceding[w] - 0.75, 0) + 0.75 * 6 / Vocabulary) / 8;
    }

    // N₊(•vw): 1→2 and 2→0 follow one token each; 1→3 as well; 2→0 also begins a document, which adds no type.
    static double Bigram(int v, int w) => (v, w) switch
    {
        (1, 2) => (1 - 0.75) / 2 + 0.75 * 2 / 2 * Continuation(2),
        (2, 0) => (1 - 0.75) / 1 + 0.75 * 1 / 1 * Continuation(0),
        _ => throw new ArgumentOutOfRangeException(nameof(v)),
    };
}
