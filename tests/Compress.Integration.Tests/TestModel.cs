using System.Text.RegularExpressions;
using Compress.Testing;

namespace Compress.Integration.Tests;

/// <summary>A trained model with text to calibrate on and other text to measure on.</summary>
/// <param name="Name">Name for test output.</param>
/// <param name="Path">Model folder or file.</param>
/// <param name="Calibration">Text it is calibrated on.</param>
/// <param name="Heldout">Text it is measured on.</param>
internal sealed record TestModel(string Name, string Path, string Calibration, string Heldout)
{
    /// <summary>The model that the repository carries, on texts that it was not trained on.</summary>
    public static TestModel Embedded { get; } = new(
        "embedded",
        System.IO.Path.Combine(SharedData.Repository, "models", "embedded"),
        System.IO.Path.Combine(SharedData.Repository, "data", "calibration.txt"),
        System.IO.Path.Combine(SharedData.Repository, "data", "heldout.txt"));

    /// <summary>A shared model; texts that must be prepared are written to a folder.</summary>
    public static TestModel Open(string name, TemporaryFolder folder) => name switch
    {
        "stories260K" => new TestModel(
            name,
            SharedData.At("models", "stories260K", "stories260K.bin"),
            SharedData.At("text", "tinystories", "train_0.txt"),
            SharedData.At("text", "tinystories", "tinystories_val.txt")),
        "babyllama" => new TestModel(
            name,
            SharedData.At("models", "babyllama-tok105", "model5000.bin"),
            folder.Write("calibration.txt", OneLine(SharedData.At("text", "tinystories", "train_0.txt"), 400_000)),
            folder.Write("heldout.txt", OneLine(SharedData.At("text", "tinystories", "tinystories_val.txt"), 60_000))),
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, "no such model"),
    };

    /// <summary>The character model was trained on stories without line breaks.</summary>
    private static string OneLine(string file, int characters) =>
        Regex.Replace(File.ReadAllText(file)[..characters].Replace("<|endoftext|>", " ", StringComparison.Ordinal), @"\s+", " ");
}
