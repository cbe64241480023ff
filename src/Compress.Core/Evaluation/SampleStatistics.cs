namespace Compress.Core.Evaluation;

/// <summary>Mean, standard error and percentiles of values measured on single tokens.</summary>
/// <remarks>The formulas are those of llama.cpp's <c>perplexity</c> tool, so that the numbers can be compared.</remarks>
public static class SampleStatistics
{
    /// <summary>Arithmetic mean, summed in order in double precision; 0 for no values.</summary>
    /// <param name="values">The sample.</param>
    public static double Mean(ReadOnlySpan<double> values)
    {
        var sum = 0.0;
        foreach (var value in values) sum += value;
        return values.IsEmpty ? 0 : sum / values.Length;
    }

    /// <summary>Standard error of the mean: <c>sqrt((E[x²] − E[x]²) / (n − 1))</c>, computed from deviations; 0 for fewer than two values.</summary>
    /// <param name="values">The sample.</param>
    public static double StandardError(ReadOnlySpan<double> values)
    {
        if (values.Length < 2) return 0;
        var mean = Mean(values);
        var squares = 0.0;
        foreach (var value in values) squares += (value - mean) * (value - mean);
        return Math.Sqrt(squares / values.Length / (values.Length - 1));
    }

    /// <summary>Exact percentile of a sorted sample: linear between the two order statistics around position <c>fraction · (n − 1)</c>.</summary>
    /// <param name="sorted">The sample in ascending order, not empty.</param>
    /// <param name="fraction">0 to 1: 0.5 is the median.</param>
    public static double Percentile(ReadOnlySpan<double> sorted, double fraction)
    {
        ArgumentOutOfRangeException.ThrowIfZero(sorted.Length);
        var position = fraction * (sorted.Length - 1);
        var below = (int)position;
        var above = Math.Min(below + 1, sorted.Length - 1);
        var weight = position - below;
        return sorted[below] == sorted[above] ? sorted[below] : (1 - weight) * sorted[below] + weight * sorted[above];
    }
}
