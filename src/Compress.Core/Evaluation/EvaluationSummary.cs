using System.Globalization;

namespace Compress.Core.Evaluation;

/// <summary>Turns scores of single tokens into the numbers that are reported.</summary>
internal static class EvaluationSummary
{
    /// <summary>The report of an evaluation.</summary>
    /// <param name="scores">Scores of single tokens.</param>
    /// <param name="tokens">The text.</param>
    /// <param name="windows">The windows that were scored.</param>
    /// <param name="protocol">How they were cut.</param>
    /// <param name="precision">Arithmetic of the forward pass.</param>
    /// <param name="engine">What computed the logits.</param>
    /// <exception cref="EvaluationException">A score is not finite.</exception>
    public static EvaluationResult Of(
        LogitScores scores, TokenizedText tokens, IReadOnlyList<ScoredWindow> windows, EvaluationProtocol protocol, string precision,
        string engine)
    {
        CheckFinite(scores.Nll, "model");
        CheckFinite(scores.ReferenceNll, "original");
        var window = windows.Max(w => w.Ids.Length);
        var bytes = tokens.ScoredBytes(windows[0]) is null ? null : windows.Sum(tokens.ScoredBytes);
        var (perplexity, perplexityError) = Perplexity(scores.Nll);
        var result = new EvaluationResult
        {
            Protocol = protocol.Name,
            Dataset = tokens.Dataset,
            DatasetSha256 = tokens.Sha256,
            Window = window,
            Stride = protocol.Stride(window),
            BeginningOfSequence = tokens.LeadingBos is not null,
            Windows = windows.Count,
            Tokens = scores.Nll.Length,
            TextTokens = tokens.Ids.Length,
            Bytes = bytes,
            Precision = precision,
            Engine = engine,
            MeanNll = SampleStatistics.Mean(scores.Nll),
            Perplexity = perplexity,
            PerplexityStandardError = perplexityError,
            BitsPerByte = BitsPerByte(scores.Nll, bytes),
        };
        return scores.ReferenceNll.IsEmpty ? result : Compared(result, scores);
    }

    /// <summary>One line for a log.</summary>
    public static string Line(EvaluationResult r)
    {
        var line = string.Create(CultureInfo.InvariantCulture,
            $"perplexity {r.Perplexity:F4} ± {r.PerplexityStandardError:F4} ({r.Protocol}, window {r.Window}, {r.Windows} windows, {r.Tokens} tokens)");
        return r.KlMean is null ? line : line + string.Create(CultureInfo.InvariantCulture,
            $", original {r.ReferencePerplexity:F4}, KL {r.KlMean:F5} ± {r.KlMeanStandardError:F5}, same top token {r.Top1Agreement:P2}");
    }

    private static EvaluationResult Compared(EvaluationResult result, LogitScores scores)
    {
        var (perplexity, perplexityError) = Perplexity(scores.ReferenceNll);
        var differences = new double[scores.Nll.Length];
        for (var i = 0; i < differences.Length; i++) differences[i] = scores.Nll[i] - scores.ReferenceNll[i];
        var ratio = Math.Exp(SampleStatistics.Mean(differences));
        double[] sorted = [.. scores.Divergence];
        Array.Sort(sorted);
        var agreement = scores.Agreements / (double)sorted.Length;
        return result with
        {
            ReferencePerplexity = perplexity,
            ReferencePerplexityStandardError = perplexityError,
            ReferenceBitsPerByte = BitsPerByte(scores.ReferenceNll, result.Bytes),
            PerplexityRatio = ratio,
            PerplexityRatioStandardError = ratio * SampleStatistics.StandardError(differences),
            KlMean = SampleStatistics.Mean(scores.Divergence),
            KlMeanStandardError = SampleStatistics.StandardError(scores.Divergence),
            KlMedian = SampleStatistics.Percentile(sorted, 0.5),
            KlP99 = SampleStatistics.Percentile(sorted, 0.99),
            KlP999 = SampleStatistics.Percentile(sorted, 0.999),
            KlMax = sorted[^1],
            Top1Agreement = agreement,
            Top1AgreementStandardError = sorted.Length < 2 ? 0 : Math.Sqrt(agreement * (1 - agreement) / (sorted.Length - 1)),
        };
    }

    /// <summary>Perplexity and its standard error by the delta method: <c>exp(m) · se(m)</c>.</summary>
    private static (double Value, double StandardError) Perplexity(ReadOnlySpan<double> nll)
    {
        var perplexity = Math.Exp(SampleStatistics.Mean(nll));
        return (perplexity, perplexity * SampleStatistics.StandardError(nll));
    }

    private static double? BitsPerByte(ReadOnlySpan<double> nll, long? bytes) =>
        bytes is > 0 ? SampleStatistics.Mean(nll) * nll.Length / Math.Log(2) / bytes.Value : null;

    private static void CheckFinite(ReadOnlySpan<double> nll, string name)
    {
        for (var i = 0; i < nll.Length; i++)
        {
            if (double.IsFinite(nll[i])) continue;
            throw new EvaluationException($"The {name}'s logits are not finite at scored token {i}: its weights or activations overflow. "
                + "Evaluate in f32, and look for infinite or NaN weights with 'compress inspect'.");
        }
    }
}
