using System.CommandLine;
using Compress.Runtime.Model;

namespace Compress.Cli;

/// <summary>Options that the commands over the engine in C# share.</summary>
internal static class EngineOptions
{
    /// <summary><c>--threads N</c>.</summary>
    public static Option<int?> Threads() => new("--threads") { Description = "Threads of the engine in C#; default: all cores.", HelpName = "N" };

    /// <summary><c>--activations quantized|full</c>.</summary>
    public static Option<ActivationPrecision> Activations() => new("--activations")
    {
        Description = "Activations in products with quantized weights: 8 bits (quantized, faster) or f32 (full).",
        HelpName = "quantized|full",
        DefaultValueFactory = _ => ActivationPrecision.Quantized,
    };
}
