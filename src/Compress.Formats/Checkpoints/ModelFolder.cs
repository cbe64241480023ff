using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Compress.Formats.Architectures;
using Compress.Formats.Tokenizers;

namespace Compress.Formats.Checkpoints;

/// <summary>
/// A model to read: a Hugging Face folder (<c>config.json</c> and safetensors), or a llama2.c <c>.bin</c> file presented as one.
/// Weights that compressed-tensors or GPTQ packed are presented decoded.
/// Formats that cannot be read, or not without danger, are refused with what to do instead.
/// </summary>
public sealed class ModelFolder : IDisposable
{
    const int MaximumConfigLength = 16 << 20;

    ModelSpec? spec;

    ModelFolder(string path, string configFile, JsonElement config, JsonElement? generationConfig, ITensorSource tensors)
    {
        Path = path;
        ConfigFile = configFile;
        Config = config;
        GenerationConfig = generationConfig;
        Tensors = tensors;
    }

    /// <summary>The folder or file that was opened.</summary>
    public string Path { get; }

    /// <summary>The file that <see cref="Config"/> was read from, for messages.</summary>
    public string ConfigFile { get; }

    /// <summary>The <c>config.json</c>, without the <c>quantization_config</c> of a checkpoint that <see cref="Tensors"/>
    /// decodes.</summary>
    public JsonElement Config { get; }

    /// <summary>The <c>quantization_config</c> of a checkpoint that <see cref="Tensors"/> decodes; null for a dense one.</summary>
    public JsonElement? QuantizationConfig { get; private init; }

    /// <summary>The whole <c>generation_config.json</c>, or null where there is none.</summary>
    public JsonElement? GenerationConfig { get; }

    /// <summary>The checkpoint's tensors.</summary>
    public ITensorSource Tensors { get; }

    /// <summary>The model's architecture, read from <see cref="Config"/> and the tensors on first use.</summary>
    /// <exception cref="ModelFileException">The architecture is not supported, or the tensors do not fit it.</exception>
    public ModelSpec Spec => spec ??= ArchitectureRegistry.Read(Config, Tensors.Tensors, ConfigFile);

    /// <summary>Loads the tokenizer that lies in the folder, or beside the llama2.c file (<c>tokenizer.bin</c>, or <c>tok512.bin</c>
    /// for a vocabulary of 512).</summary>
    /// <exception cref="ModelFileException">There is none, or it cannot be read.</exception>
    public Tokenizer LoadTokenizer() => Tokenizer.Load(Tensors is Llama2cFile ? BesideLlama2c() : Path);

    /// <summary>Opens a model.</summary>
    /// <param name="path">A folder, or a llama2.c file.</param>
    /// <exception cref="ModelFileException">The model is missing, incomplete, damaged or of a format that is not read.</exception>
    public static ModelFolder Open(string path)
    {
        if (File.Exists(path)) return OpenFile(path);
        if (!Directory.Exists(path))
            throw new ModelFileException(path, "there is no such folder.", "Give the folder of a model; it is not downloaded for you.");
        try
        {
            return OpenFolder(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw FileFailure.Reading(path, e);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Tensors.Dispose();

    static ModelFolder OpenFolder(string path)
    {
        var configFile = ContainedPath.Of(path, "config.json");
        var hasWeights = File.Exists(System.IO.Path.Combine(path, SafetensorsFolder.IndexName))
            || Directory.EnumerateFiles(path, "*.safetensors").Any();
        if (!File.Exists(configFile) || !hasWeights) throw Refusal.OfFolder(path, hasConfig: File.Exists(configFile), hasWeights);
        var config = JsonFile.ReadObject(configFile, MaximumConfigLength);
        var generationFile = ContainedPath.Of(path, "generation_config.json");
        JsonElement? generation = File.Exists(generationFile) ? JsonFile.ReadObject(generationFile, MaximumConfigLength) : null;
        var tensors = SafetensorsFolder.Map(path);
        try
        {
            if (!config.TryGetProperty("quantization_config", out var quantization) || !DecodingTensorSource.Reads(quantization))
                return new ModelFolder(path, configFile, config, generation, tensors);
            var decoding = DecodingTensorSource.Wrap(tensors, quantization, configFile);
            var dense = JsonObject.Create(config)!;
            dense.Remove("quantization_config");
            return new ModelFolder(path, configFile, JsonSerializer.SerializeToElement(dense), generation, decoding)
            {
                QuantizationConfig = quantization,
            };
        }
        catch
        {
            tensors.Dispose();
            throw;
        }
    }

    static ModelFolder OpenFile(string path)
    {
        if (!path.EndsWith(".bin", StringComparison.OrdinalIgnoreCase) || Refusal.IsPickleContent(path)) throw Refusal.OfFile(path);
        var file = Llama2cFile.Map(path);
        return new ModelFolder(path, path, file.Config, null, file);
    }

    /// <summary>The tokenizer beside a llama2.c file, or null where there is none.</summary>
    internal string? FindLlama2cTokenizer()
    {
        var folder = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(Path))!;
        return Llama2cTokenizerNames().Select(name => System.IO.Path.Combine(folder, name)).FirstOrDefault(File.Exists);
    }

    string BesideLlama2c() => FindLlama2cTokenizer() ?? throw new ModelFileException(
        Path, $"neither {string.Join(" nor ", Llama2cTokenizerNames())} lies beside it.", "Copy the model's tokenizer there.");

    string[] Llama2cTokenizerNames() =>
        ["tokenizer.bin", string.Create(CultureInfo.InvariantCulture, $"tok{Config.GetProperty("vocab_size").GetInt32()}.bin")];
}
