namespace Compress.Runtime.Measuring;

/// <summary>Several measurements of one thing.</summary>
/// <param name="Median">The middle one; the mean of the two middle ones of an even number.</param>
/// <param name="Lowest">The lowest.</param>
/// <param name="Highest">The highest.</param>
public readonly record struct Spread(double Median, double Lowest, double Highest)
{
    /// <summary>The spread of at least one value.</summary>
    public static Spread Of(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return new Spread((sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2, sorted[0], sorted[^1]);
    }
}
