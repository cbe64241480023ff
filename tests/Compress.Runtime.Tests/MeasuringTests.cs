using Compress.Runtime.Measuring;
using Compress.Runtime.Model;
using Compress.Testing;

namespace Compress.Runtime.Tests;

public class MeasuringTests
{
    private static readonly RuntimeOptions One = new() { Threads = 1, Activations = ActivationPrecision.Full };

    [SharedDataFact]
    public void A_benchmark_times_what_was_asked_for()
    {
        var path = SharedData.At("golden", "gguf", "stories260K-q4_0.gguf");
        var result = SpeedBenchmark.Run(path, One, new SpeedOptions { Prompt = 20, Generate = 9, Repetitions = 2 });
        Assert.Equal((20, 9, 2, 1), (result.PromptTokens, result.GenerateTokens, result.Repetitions, result.Threads));
        Assert.InRange(result.PromptTokensPerSecond, result.PromptTokensPerSecondLowest, result.PromptTokensPerSecondHighest);
        Assert.InRange(result.GenerateTokensPerSecond, result.GenerateTokensPerSecondLowest, result.GenerateTokensPerSecondHighest);
        Assert.Equal(20 / result.TimeToFirstToken, result.PromptTokensPerSecond, 6);
        // 5 blocks of hidden size 64, 8 heads and 4 key/value heads of size 8, 172 channels.
        Assert.Equal(2.0 * 5 * (64 * 64 * 2 + 64 * 32 * 2 + 64 * 172 * 3), result.PromptOperationsPerToken);
        Assert.True(result.PeakRssBytes > result.WeightBytes);
        Assert.Equal("f32", result.Activations);
        Assert.Null(result.BandwidthShare);
        var share = result with { Machine = new MachineRates(1, 2 * result.WeightBytes * result.GenerateTokensPerSecond, 1, 1) };
        Assert.Equal(0.5, share.BandwidthShare!.Value, 6);
    }

    [SharedDataFact]
    public void A_prompt_beyond_the_context_is_refused()
    {
        var path = SharedData.At("golden", "gguf", "stories260K-q4_0.gguf");
        Assert.Contains("context", Assert.Throws<ArgumentException>(() =>
            SpeedBenchmark.Run(path, One, new SpeedOptions { Prompt = 100_000 })).Message, StringComparison.Ordinal);
        Assert.ThrowsAny<ArgumentException>(() => SpeedBenchmark.Run(path, One, new SpeedOptions { Repetitions = 0 }));
    }

    [Fact]
    public void The_machine_does_more_than_a_plain_loop_and_less_than_is_possible()
    {
        var rates = MachineRates.Measure(1, TimeSpan.FromMilliseconds(20));
        Assert.InRange(rates.ReadBytesPerSecond, 0.2e9, 2e12);
        Assert.InRange(rates.FloatOperationsPerSecond, 1e9, 1e12);
        Assert.InRange(rates.IntegerOperationsPerSecond, 1e9, 8e12);
    }

    [Fact]
    public void Every_thread_counts_and_the_best_round_wins()
    {
        var rounds = new int[3];
        var rate = MachineRates.Best(3, TimeSpan.FromMilliseconds(30), amount: 10, i =>
        {
            rounds[i]++;
            Thread.Sleep(10);
        });
        Assert.True(rounds[0] >= 4 && rounds.Distinct().Count() == 1, string.Join(' ', rounds));
        Assert.InRange(rate, 30 / 0.5, 30 / 0.0099);
    }

    [Theory]
    [InlineData(new[] { 3.0 }, 3, 3, 3)]
    [InlineData(new[] { 3.0, 1, 2 }, 2, 1, 3)]
    [InlineData(new[] { 4.0, 1, 2, 9 }, 3, 1, 9)]
    public void A_spread_is_median_and_extremes(double[] values, double median, double lowest, double highest) =>
        Assert.Equal(new Spread(median, lowest, highest), Spread.Of(values));
}
