using Compress.Core.Graph;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using TorchSharp;

namespace Compress.Core.Tests.Graph;

internal static class Compare
{
    /// <summary>Asserts that the graph's logits equal expected ones: to rounding in f64, and to single precision in f32.</summary>
    public static void Graph(double[][] expected, ITensorSource tensors, ModelSpec spec, int[] ids)
    {
        foreach (var (type, tolerance) in ((torch.ScalarType, double)[])[(torch.float64, 1e-11), (torch.float32, 1e-4)])
        {
            using var graph = ModelGraph.Load(tensors, spec, type, torch.CPU);
            using var scope = torch.NewDisposeScope();
            using var _ = torch.no_grad();
            Logits(expected, graph.Forward(torch.tensor(ids, torch.int64).unsqueeze(0)), tolerance);
        }
    }

    /// <summary>Asserts that logits agree to a tolerance relative to the largest expected one, and that this one is not tiny.</summary>
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
