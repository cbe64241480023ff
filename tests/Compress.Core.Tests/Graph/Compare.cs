using TorchSharp;

namespace Compress.Core.Tests.Graph;

internal static class Compare
{
    /// <summary>Asserts that logits agree to a tolerance relative to the largest expected one, and that the expectation is not trivial.</summary>
    public static void Logits(double[][] expected, torch.Tensor actual, double tolerance)
    {
        var (time, vocabulary) = (expected.Length, expected[0].Length);
        Assert.Equal([1, time, vocabulary], actual.shape);
        var values = actual.to(torch.float64).flatten().data<double>().ToArray();
        var largest = expected.SelectMany(r => r).Max(Math.Abs);
        Assert.True(largest > 0.1, $"logits are too small to tell anything: {largest}");
        var worst = 0.0;
        for (var t = 0; t < time; t++)
        {
            for (var v = 0; v < vocabulary; v++) worst = Math.Max(worst, Math.Abs(expected[t][v] - values[t * vocabulary + v]));
        }
        Assert.True(worst / largest < tolerance, $"largest relative difference {worst / largest:g3}");
    }
}
