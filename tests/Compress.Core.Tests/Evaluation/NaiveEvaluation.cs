namespace Compress.Core.Tests.Evaluation;

/// <summary>Perplexity and divergence by plain loops in double, from logits of whole windows.</summary>
internal sealed class NaiveEvaluation
{
    private readonly List<double> nll = [];
    private readonly List<double> divergence = [];
    private int agreements;

    public double Perplexity => Math.Exp(nll.Average());

    public double KlMean => divergence.Average();

    public double KlMax => divergence.Max();

    public double KlMedian => divergence.Order().ElementAt(divergence.Count / 2);

    public double Agreement => agreements / (double)divergence.Count;

    public int Tokens => nll.Count;

    /// <summary>Scores predictions made at the given positions of a window.</summary>
    public void Add(double[][] logits, double[][]? original, int[] ids, int firstPosition, int lastPosition)
    {
        for (var t = firstPosition; t <= lastPosition; t++)
        {
            var q = LogSoftmax(logits[t]);
            nll.Add(-q[ids[t + 1]]);
            if (original is null) continue;
            var p = LogSoftmax(original[t]);
            var sum = 0.0;
            for (var v = 0; v < p.Length; v++) sum += Math.Exp(p[v]) * (p[v] - q[v]);
            divergence.Add(sum);
            if (Array.IndexOf(p, p.Max()) == Array.IndexOf(q, q.Max())) agreements++;
        }
    }

    private static double[] LogSoftmax(double[] logits)
    {
        var top = logits.Max();
        var total = Math.Log(logits.Sum(l => Math.Exp(l - top))) + top;
        return [.. logits.Select(l => l - total)];
    }
}
