using Compress.Core.Progress;
using Compress.Core.Recipes;
using Compress.Core.Runs;
using Compress.Distill.Methods;
using Compress.Pruning.Methods;
using Compress.Quant.Methods;
using Compress.Testing;
using TorchSharp;

namespace Compress.Integration.Tests;

/// <summary>Runs recipes as the program does.</summary>
internal static class Runner
{
    private static readonly MethodCatalogue Methods = MethodCatalogue.Discover(typeof(Wanda).Assembly, typeof(Gptq).Assembly, typeof(Distillation).Assembly);

    /// <summary>A recipe over a model: its stages in YAML, 48 scored windows of 256, an export to <c>hf</c>.</summary>
    public static string Recipe(TestModel model, string stages, string calibration = "samples: 32, length: 256, batch_size: 8") => $$"""
        model: {{model.Path}}
        calibration: { data: {{model.Calibration}}, {{calibration}} }
        stages:
          {{stages}}
        evaluate:
          - perplexity: { data: {{model.Heldout}}, window: 256, max_windows: 48 }
        export:
          - { format: hf, to: hf }
        """;

    /// <summary>Runs a recipe in a folder of its own.</summary>
    /// <param name="folder">Where recipe and run folder lie.</param>
    /// <param name="recipe">The recipe.</param>
    /// <param name="name">Name of both.</param>
    /// <param name="stop">Cancelled when progress shows <paramref name="after"/>; null to run to the end.</param>
    /// <param name="after">A detail of progress.</param>
    /// <param name="at">An event at which <paramref name="stop"/> is cancelled too.</param>
    /// <param name="resume">Whether to go on with what the folder holds.</param>
    public static Task<RunResult> Run(
        TemporaryFolder folder, string recipe, string name = "run", CancellationTokenSource? stop = null, string after = "",
        Func<RunEvent, bool>? at = null, bool resume = false)
    {
        var file = folder.Write(name + ".yaml", recipe);
        var options = new RunOptions { OutputFolder = folder.At("runs", name), Precision = torch.ScalarType.Float32, Resume = resume };
        return CompressionRun.ExecuteAsync(RecipeFile.Load(file, Methods).Value, options, new Watch(stop, after, at), stop?.Token ?? default);
    }

    private sealed class Watch(CancellationTokenSource? stop, string after, Func<RunEvent, bool>? at) : IProgress<RunEvent>
    {
        private bool cutting;

        public void Report(RunEvent value)
        {
            // The choice passes over the same blocks; the cut is to be interrupted.
            if (value is PhaseStarted started) cutting = !started.Name.EndsWith("choice", StringComparison.Ordinal);
            if (cutting && value is PhaseAdvanced { Detail: { } detail } && detail == after) stop?.Cancel();
            if (at?.Invoke(value) == true) stop?.Cancel();
        }
    }
}
