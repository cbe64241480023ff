using System.Collections.Immutable;
using Compress.Core.Evaluation;
using Compress.Core.Tests.Graph;
using Compress.Formats.Architectures;

namespace Compress.Core.Tests.Evaluation;

/// <summary>
/// Models without blocks, whose head is a table of log-probabilities of the next token given the last: every reported number can be
/// worked out on paper.
/// </summary>
public class KnownDivergenceTests
{
    private const int Vocabulary = 4;

    private static readonly double[] Uniform = [0.25, 0.25, 0.25, 0.25];
    private static readonly double[] Skewed = [0.5, 0.25, 0.125, 0.125];
    private static readonly double[] Turned = [0.125, 0.125, 0.25, 0.5];

    private static readonly ModelSpec Spec = new()
    {
        Family = "table",
        HiddenSize = Vocabulary,
        VocabularySize = Vocabulary,
        MaxPositions = 64,
        Embedding = new EmbeddingSpec("tokens"),
        Blocks = [],
        Head = new HeadSpec(new LinearSpec("head", new WeightPart("head.weight"), null, Vocabulary, Vocabulary), Tied: false),
    };

    [Fact]
    public async Task Divergence_from_skewed_to_uniform_is_the_difference_of_entropies()
    {
        using var original = Table(_ => Skewed);
        using var model = Table(_ => Uniform);
        var result = await Evaluate(model, original, [0, 1, 2, 3, 0, 0, 1, 2]);
        // KL(skewed || uniform) = 2 ln 2 - 1.75 ln 2 for every token.
        Assert.All(
            new[] { result.KlMean, result.KlMedian, result.KlP99, result.KlP999, result.KlMax },
            value => Assert.Equal(0.25 * Math.Log(2), value!.Value, 6));
        Assert.Equal(4, result.Perplexity, 5);
        Assert.Equal(0, result.PerplexityStandardError, 5);
        // Scored tokens: 1, 2, 3 and 0, 1, 2 with windows of 4.
        var nll = Math.Log(2) * (2 + 3 + 3 + 1 + 2 + 3) / 6;
        Assert.Equal(Math.Exp(nll), result.ReferencePerplexity!.Value, 5);
        Assert.Equal(4 / Math.Exp(nll), result.PerplexityRatio!.Value, 5);
    }

    [Fact]
    public async Task Divergence_is_taken_from_the_original_to_the_model()
    {
        using var original = Table(_ => Uniform);
        using var model = Table(_ => Skewed);
        var result = await Evaluate(model, original, [0, 1, 2, 3]);
        // KL(uniform || skewed) = -2 ln 2 + (1 + 2 + 3 + 3) / 4 ln 2.
        Assert.Equal(0.25 * Math.Log(2), result.KlMean!.Value, 6);
        using var sharp = Table(_ => [0.97, 0.01, 0.01, 0.01]);
        var forward = await Evaluate(sharp, original, [0, 1, 2, 3]);
        var backward = await Evaluate(original, sharp, [0, 1, 2, 3]);
        Assert.Equal(0.25 * Math.Log(0.25 / 0.97) + 0.75 * Math.Log(25), forward.KlMean!.Value, 5);
        Assert.Equal(0.97 * Math.Log(0.97 / 0.25) + 0.03 * Math.Log(0.04), backward.KlMean!.Value, 5);
    }

    [Fact]
    public async Task Agreement_counts_equal_most_likely_tokens()
    {
        using var original = Table(_ => Skewed);
        using var model = Table(last => last == 3 ? Turned : Skewed);
        // Positions before scored tokens: 0 1 3 | 3 3 0: half of them 3, where the most likely token is 3 instead of 0.
        var result = await Evaluate(model, original, [0, 1, 3, 2, 3, 3, 0, 1]);
        Assert.Equal(0.5, result.Top1Agreement!.Value);
        Assert.Equal(Math.Sqrt(0.25 / 5), result.Top1AgreementStandardError!.Value, 12);
        // KL is 0 where the last token is not 3: the percentiles of 0 0 0 d d d.
        var d = Math.Log(2) * (0.5 * 2 + 0.25 * 1 - 0.125 * 1 - 0.125 * 2);
        Assert.Equal(d / 2, result.KlMean!.Value, 6);
        Assert.Equal(d / 2, result.KlMedian!.Value, 6);
        Assert.Equal(d, result.KlP99!.Value, 6);
        Assert.Equal(d / 2 / Math.Sqrt(5), result.KlMeanStandardError!.Value, 6);
    }

    [Fact]
    public async Task A_model_against_itself_diverges_by_exactly_nothing()
    {
        using var model = Table(last => last % 2 == 0 ? Skewed : Turned);
        var result = await Evaluate(model, model, [0, 1, 2, 3, 2, 1, 0, 0]);
        Assert.Equal(0, result.KlMax);
        Assert.Equal(0, result.KlMean);
        Assert.Equal(1, result.Top1Agreement);
        Assert.Equal(1, result.PerplexityRatio);
        Assert.Equal(0, result.PerplexityRatioStandardError);
    }

    [Fact]
    public async Task Bits_per_byte_divide_by_the_scored_bytes()
    {
        using var model = Table(_ => Uniform);
        var text = new TokenizedText(new[] { 0, 1, 2, 3, 0, 1, 2, 3, 1 }, "text", "", new ByteTokenizer(addsBos: false));
        var result = await Evaluator.EvaluateAsync(
            new EvaluatedModel(model, Spec), null, text, EvaluationProtocol.Find("gptq"), new EvaluationOptions { Window = 4 });
        // Six scored tokens of one byte at two bits each; the ninth token fills no window.
        Assert.Equal(6, result.Bytes);
        Assert.Equal(2, result.BitsPerByte!.Value, 6);
        Assert.Equal((6L, 2, 9L), (result.Tokens, result.Windows, result.TextTokens));
        Assert.Null(result.KlMean);
    }

    [Fact]
    public async Task Logits_that_are_not_finite_are_named()
    {
        using var model = Table(_ => [double.NaN, 0.5, 0.25, 0.25]);
        var failure = await Assert.ThrowsAsync<EvaluationException>(() => Evaluate(model, null, [0, 1, 2, 3]));
        Assert.Contains("not finite", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(65, 3, "context of 64")]
    [InlineData(4, 4, "does not belong to the model")]
    public async Task What_does_not_fit_the_model_is_refused(int window, int token, string message)
    {
        using var model = Table(_ => Uniform);
        var text = new TokenizedText(Enumerable.Repeat(token, 80).ToArray(), "text", "");
        var failure = await Assert.ThrowsAsync<EvaluationException>(() => Evaluator.EvaluateAsync(
            new EvaluatedModel(model, Spec), null, text, EvaluationProtocol.Find("gptq"), new EvaluationOptions { Window = window }));
        Assert.Contains(message, failure.Message, StringComparison.Ordinal);
    }

    private static Task<EvaluationResult> Evaluate(MemoryTensors model, MemoryTensors? original, int[] ids) => Evaluator.EvaluateAsync(
        new EvaluatedModel(model, Spec),
        original is null ? null : new EvaluatedModel(original, Spec),
        new TokenizedText(ids, "text", ""),
        EvaluationProtocol.Find("gptq"),
        new EvaluationOptions { Window = 4 });

    private static MemoryTensors Table(Func<int, double[]> nextGivenLast)
    {
        var tensors = new MemoryTensors();
        var shape = ImmutableArray.Create<long>(Vocabulary, Vocabulary);
        var identity = new float[Vocabulary * Vocabulary];
        var head = new float[Vocabulary * Vocabulary];
        for (var last = 0; last < Vocabulary; last++)
        {
            identity[last * Vocabulary + last] = 1;
            // A constant shift of logits must not matter.
            for (var next = 0; next < Vocabulary; next++) head[next * Vocabulary + last] = (float)Math.Log(nextGivenLast(last)[next]) + last;
        }
        tensors.Add("tokens", shape, identity);
        tensors.Add("head.weight", shape, head);
        return tensors;
    }
}
