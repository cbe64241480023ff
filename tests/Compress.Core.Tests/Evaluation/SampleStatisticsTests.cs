using Compress.Core.Evaluation;
using MathNet.Numerics.Statistics;

namespace Compress.Core.Tests.Evaluation;

public class SampleStatisticsTests
{
    private static readonly double[] Values = [.. Enumerable.Range(0, 1003).Select(i => Math.Sin(i) * i)];

    [Fact]
    public void Mean_and_standard_error_equal_the_textbook()
    {
        Assert.Equal(Values.Mean(), SampleStatistics.Mean(Values), 10);
        Assert.Equal(Values.StandardDeviation() / Math.Sqrt(Values.Length), SampleStatistics.StandardError(Values), 10);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.5)]
    [InlineData(0.99)]
    [InlineData(0.999)]
    [InlineData(1)]
    public void Percentiles_equal_the_usual_linear_definition(double fraction)
    {
        double[] sorted = [.. Values.Order()];
        Assert.Equal(Values.QuantileCustom(fraction, QuantileDefinition.R7), SampleStatistics.Percentile(sorted, fraction), 10);
    }

    [Fact]
    public void Known_percentiles_of_five_values()
    {
        double[] sorted = [1, 2, 3, 6, 10];
        Assert.Equal(3, SampleStatistics.Percentile(sorted, 0.5));
        Assert.Equal(9.84, SampleStatistics.Percentile(sorted, 0.99), 12);
        Assert.Equal(9.984, SampleStatistics.Percentile(sorted, 0.999), 12);
    }

    [Fact]
    public void One_value_has_no_standard_error()
    {
        Assert.Equal(0, SampleStatistics.StandardError([4.2]));
        Assert.Equal(4.2, SampleStatistics.Percentile([4.2], 0.99));
    }
}
