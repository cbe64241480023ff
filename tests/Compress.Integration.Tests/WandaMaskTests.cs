using Compress.Core.Calibration;
using Compress.Core.Graph;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Testing;
using TorchSharp;

namespace Compress.Integration.Tests;

/// <summary>The masks of a whole run against an implementation that shares nothing with it but the calibration tokens.</summary>
public sealed class WandaMaskTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [SharedDataTheory]
    [InlineData("stories260K", "sparsity: 0.5")]
    [InlineData("stories260K", "pattern: \"2:4\"")]
    [InlineData("babyllama", "sparsity: 0.5")]
    [InlineData("babyllama", "pattern: \"2:4\"")]
    public async Task Every_mask_equals_an_independent_one(string name, string options)
    {
        var model = TestModel.Open(name, folder);
        var recipe = Runner.Recipe(model, $"- prune: {{ method: wanda, {options} }}", calibration: "samples: 6, length: 48");
        var result = await Runner.Run(folder, recipe);
        using var original = ModelFolder.Open(model.Path);
        using var exported = ModelFolder.Open(Assert.Single(result.Exports).Path);

        var naive = new NaiveWanda(original.Spec, Values(original));
        var windows = CalibrationFile.Read(Path.Combine(result.Folder, CalibrationFile.Name)).Windows;
        Assert.Equal(6, windows.Count);
        naive.Prune(windows.Select(w => w.Tokens), options.StartsWith("pattern", StringComparison.Ordinal) ? TwoOfFour : LowestHalf);

        var pruned = Values(exported);
        var (entries, differences) = (0, 0);
        foreach (var (tensor, removed) in naive.Removed)
        {
            var scores = naive.Scores[tensor];
            var columns = (int)original.Tensors.Tensors[tensor].Shape[1];
            for (var i = 0; i < removed.Length; i++)
            {
                if (removed[i] == (pruned[tensor][i] == 0)) continue;
                differences++;
                // f32 may rank two scores of a row differently that are equal to six digits, and only those.
                var row = scores.AsSpan(i / columns * columns, columns);
                Assert.True(HasTwin(row, i % columns), $"{tensor}[{i}]: score {scores[i]} is no tie");
            }
            entries += removed.Length;
        }
        Assert.Equal(original.Spec.Blocks.Length * 7, naive.Removed.Count);
        Assert.True(differences <= 2, $"{differences} of {entries} differ");
    }

    private static bool[] LowestHalf(double[] scores)
    {
        var removed = new bool[scores.Length];
        foreach (var i in Enumerable.Range(0, scores.Length).OrderBy(i => scores[i]).Take(scores.Length / 2)) removed[i] = true;
        return removed;
    }

    private static bool[] TwoOfFour(double[] scores) => [.. scores.Chunk(4).SelectMany(LowestHalf)];

    private static bool HasTwin(ReadOnlySpan<double> row, int index)
    {
        for (var i = 0; i < row.Length; i++)
        {
            if (i != index && Math.Abs(row[i] - row[index]) <= 2e-6 * row[index]) return true;
        }
        return false;
    }

    internal static Dictionary<string, double[]> Values(ModelFolder model)
    {
        using var scope = torch.NewDisposeScope();
        return SpecTensors.Expected(model.Spec).ToDictionary(
            t => t.Name, t => TensorBridge.Load(model.Tensors.Open(t.Name), torch.float64).data<double>().ToArray());
    }
}
