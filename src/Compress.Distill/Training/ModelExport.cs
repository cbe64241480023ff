using System.Text.Json;
using System.Text.Json.Nodes;
using Compress.Core.Graph;
using Compress.Formats.Checkpoints;
using Compress.Formats.Tokenizers;

namespace Compress.Distill.Training;

/// <summary>Writes a trained model as a Hugging Face folder with bf16 weights.</summary>
static class ModelExport
{
    static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, NewLine = "\n" };

    /// <summary>Writes the folder beside its name and renames it, replacing an older one.</summary>
    public static void Write(string folder, JsonObject config, TrainedBpe tokenizer, AdamW optimizer, IEnumerable<string> names)
    {
        var staging = folder + ".partial";
        if (Directory.Exists(staging)) Directory.Delete(staging, recursive: true);
        Directory.CreateDirectory(staging);
        WriteWeights(Path.Combine(staging, "model.safetensors"), optimizer, names);
        File.WriteAllText(Path.Combine(staging, "config.json"), config.ToJsonString(Indented) + "\n");
        File.WriteAllText(Path.Combine(staging, "generation_config.json"), Generation(config).ToJsonString(Indented) + "\n");
        tokenizer.Save(staging);
        var old = folder + ".old";
        if (Directory.Exists(old)) Directory.Delete(old, recursive: true);
        if (Directory.Exists(folder)) Directory.Move(folder, old);
        Directory.Move(staging, folder);
        if (Directory.Exists(old)) Directory.Delete(old, recursive: true);
    }

    static void WriteWeights(string path, AdamW optimizer, IEnumerable<string> names)
    {
        var tensors = names.Select(name => (Name: name, Value: optimizer.Master(name))).ToList();
        using var writer = SafetensorsWriter.Create(path,
            tensors.Select(t => new TensorInfo(t.Name, ElementType.BF16, [.. t.Value.shape], t.Value.numel() * 2)));
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
