using System.Text.Json;
using System.Text.Json.Nodes;
using Compress.Core.Graph;
using Compress.Formats.Checkpoints;
using Compress.Formats.Tokenizers;

namespace Compress.Distill.Training;

/// <summary>Writes a trained model as a Hugging Face folder with bf16 weights.</summary>
static class ModelExport
{
    /// <summary>Writes the folder beside its name and puts it in its place, replacing an older one.</summary>
    /// <exception cref="Formats.ModelFileException">The folder cannot be written, or holds something else.</exception>
    public static void Write(string folder, JsonObject config, TrainedBpe tokenizer, AdamW optimizer, IEnumerable<string> names)
    {
        var tensors = names.Select(name => (Name: name, Value: optimizer.Master(name))).ToList();
        using var writer = HuggingFaceFolderWriter.Create(folder, JsonSerializer.SerializeToElement(config),
            [.. tensors.Select(t => new TensorInfo(t.Name, ElementType.BF16, [.. t.Value.shape], t.Value.numel() * 2))]);
        writer.WriteJson("generation_config.json", JsonSerializer.SerializeToElement(Generation(config)));
        tokenizer.Save(writer.TemporaryPath);
        foreach (var (name, value) in tensors) writer.Write(name, TensorBridge.ToBytes(value, ElementType.BF16));
        writer.Complete();
    }

    static JsonObject Generation(JsonObject config) => new()
    {
        ["bos_token_id"] = config["bos_token_id"]!.DeepClone(),
        ["eos_token_id"] = config["eos_token_id"]!.DeepClone(),
        ["do_sample"] = true,
        ["temperature"] = 0.8,
        ["top_p"] = 0.95,
    };
}
