using System.Text.Json;
using Compress.Core.Graph;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Formats.Tokenizers;
using Compress.Testing;
using TorchSharp;

namespace Compress.Cli.Tests;

/// <summary>A Llama of 150,000 random weights with a tokenizer, in a temporary folder that tests may damage.</summary>
internal sealed class TinyModel : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("compress-cli-");

    /// <summary>Writes the model.</summary>
    public TinyModel()
    {
        Core.Torch.TorchBackend.EnsureLoaded();
        var text = File.ReadAllText(Path.Combine(SharedData.Repository, "data", "calibration.txt"));
        var options = new BpeTrainerOptions { VocabularySize = 512, SpecialTokens = ["<s>"], BosToken = "<s>", EosToken = "<s>" };
        var tokenizer = BpeTrainer.Train([text], options);
        var model = SyntheticModel.Llama(64, 128, 2, 4, 2, vocabulary: tokenizer.Tokens.Count, maxPositions: 128, dtype: "bfloat16");
        using var graph = ModelGraph.Random(model.Spec, 1, torch.float32, torch.CPU);
        var tensors = graph.NamedParameters.ToList();
        using var writer = HuggingFaceFolderWriter.Create(Model, JsonSerializer.SerializeToElement(model.Config),
            [.. tensors.Select(t => new TensorInfo(t.Name, ElementType.BF16, [.. t.Value.shape], t.Value.numel() * 2))]);
        tokenizer.Save(writer.TemporaryPath);
        foreach (var (name, value) in tensors) writer.Write(name, TensorBridge.ToBytes(value, ElementType.BF16));
        writer.Complete();
        File.WriteAllText(Text, text[..8000]);
    }

    /// <summary>The model's folder.</summary>
    public string Model => Path.Combine(folder.FullName, "model");

    /// <summary>A text of a few thousand tokens.</summary>
    public string Text => Path.Combine(folder.FullName, "text.txt");

    /// <summary>A path in the temporary folder.</summary>
    public string At(string name) => Path.Combine(folder.FullName, name);

    /// <summary>Writes a file into the temporary folder.</summary>
    public string Write(string name, string content)
    {
        File.WriteAllText(At(name), content);
        return At(name);
    }

    /// <summary>Every file below the temporary folder with its length, to see that a failure wrote nothing.</summary>
    public string[] Files() =>
        [.. folder.EnumerateFiles("*", SearchOption.AllDirectories).Select(f => $"{f.FullName} {f.Length}").Order(StringComparer.Ordinal)];

    /// <inheritdoc/>
    public void Dispose() => folder.Delete(recursive: true);
}
