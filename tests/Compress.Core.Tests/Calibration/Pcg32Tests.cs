using Compress.Core.Calibration;

namespace Compress.Core.Tests.Calibration;

public sealed class Pcg32Tests
{
    /// <summary>Output of the reference implementation's demo, <c>pcg32_srandom(42, 54)</c>, first round: six numbers in hexadecimal,
    /// then 65 coin tosses, then 33 rolls of a die.</summary>
    [Fact]
    public void Agrees_with_the_reference_demo()
    {
        var random = new Pcg32(42, 54);
        uint[] expected = [0xa15c02b7, 0x7b47f409, 0xba1d3330, 0x83d2f293, 0xbfa4784b, 0xcbed606e];
        Assert.Equal(expected, Enumerable.Range(0, 6).Select(_ => random.NextUInt32()));
        var coins = string.Concat(Enumerable.Range(0, 65).Select(_ => random.Next(2) == 1 ? 'H' : 'T'));
        Assert.Equal("HHTTTHTHHHTHTTTHHHHHTTTHHHTHTHTHTTHTTTHHHHHHTTTTHHTTTTTHTTTTTTTHT", coins);
        var rolls = string.Join(' ', Enumerable.Range(0, 33).Select(_ => random.Next(6) + 1));
        Assert.Equal("3 4 1 1 2 2 3 2 4 3 2 4 3 3 5 2 3 1 3 1 5 1 4 1 5 6 4 6 6 2 6 3 3", rolls);
    }

    [Fact]
    public void Streams_differ()
    {
        var one = new Pcg32(0, 1);
        var two = new Pcg32(0, 2);
        Assert.NotEqual(one.NextUInt32(), two.NextUInt32());
    }

    [Fact]
    public void Derived_seeds_depend_on_every_part()
    {
        var seeds = new[]
        {
            Seeds.Derive(0, "stage 1", "a"), Seeds.Derive(1, "stage 1", "a"), Seeds.Derive(0, "stage 2", "a"),
            Seeds.Derive(0, "stage 1", "b"), Seeds.Derive(0, "stage 1"), Seeds.Derive(0, "stage 1a"),
        };
        Assert.Equal(seeds.Length, seeds.Distinct().Count());
        Assert.All(seeds, seed => Assert.True(seed >= 0));
        Assert.Equal(seeds[0], Seeds.Derive(0, "stage 1", "a"));
    }
}
