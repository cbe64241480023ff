using Compress.Core.Progress;
using Compress.Core.Recipes;
using Compress.Core.Runs;
using Compress.Pruning.Methods;
using Compress.Quant.Methods;
using Compress.Testing;
using TorchSharp;

namespace Compress.Integration.Tests;

/// <summary>Runs recipes as the program does.</summary>
internal static class Runner
{
    private static readonly MethodCatalogue Methods = MethodCatalogue.Discover(typeof(Wanda).Assembly, typeof(Gptq).Assembly);

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
    public static Task<RunResult> Run(TemporaryFolder folder, string recipe, string name = "run")
    {
        var file = folder.Write(name + ".yaml", recipe);
        var options = new RunOptions { OutputFolder = folder.At("runs", name), Precision = torch.ScalarType.Float32 };
        return CompressionRun.ExecuteAsync(RecipeFile.Load(file, Methods).Value, options, new Silent());
    }

    private sealed class Silent : IProgress<RunEvent>
    {
        public void Report(RunEvent value)
        {
        }
    }
}
