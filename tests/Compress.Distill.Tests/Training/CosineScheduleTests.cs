using Compress.Distill.Training;

namespace Compress.Distill.Tests.Training;

public sealed class CosineScheduleTests
{
    readonly CosineSchedule schedule = new(Peak: 0.01, WarmupSteps: 4, TotalSteps: 13, FinalShare: 0.1);

    [Theory]
    [InlineData(0, 0.0025)]
    [InlineData(1, 0.005)]
    [InlineData(3, 0.01)]
    [InlineData(4, 0.01)]
    [InlineData(8, 0.0055)] // half way: the mean of peak and final rate
    [InlineData(6, 0.00868198)] // a quarter: 0.001 + 0.009 · (1 + cos 45°) / 2
    [InlineData(12, 0.001)]
    [InlineData(40, 0.001)]
    public void Rates_follow_the_formula(int step, double expected) => Assert.Equal(expected, schedule.RateAt(step), 8);

    [Fact]
    public void A_run_that_is_all_warm_up_ends_at_the_final_rate() =>
        Assert.Equal(0.001, new CosineSchedule(0.01, 2, 3, 0.1).RateAt(2), 12);
}
