using System.Text.Json;
using System.Text.Json.Nodes;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Architectures;

/// <summary>A configuration made from sizes, for tests, benchmarks and models trained from scratch.</summary>
/// <param name="Config">The <c>config.json</c>.</param>
/// <param name="Spec">What <see cref="ArchitectureRegistry"/> reads from it.</param>
public sealed record SyntheticModel(JsonObject Config, ModelSpec Spec)
{
    private const int MaximumConfigLength = 16 << 20;

    /// <summary>A Llama configuration.</summary>
    /// <param name="hidden">Residual stream width.</param>
    /// <param name="mlp">MLP channels.</param>
    /// <param name="layers">Blocks.</param>
    /// <param name="heads">Query heads.</param>
    /// <param name="keyValueHeads">Key/value heads; divides <paramref name="heads"/>.</param>
    /// <param name="vocabulary">Rows of the token table.</param>
    /// <param name="maxPositions">Longest context.</param>
    /// <param name="tied">Whether the head shares the token table.</param>
    /// <param name="dtype">Declared element type, as in <c>torch_dtype</c>.</param>
    public static SyntheticModel Llama(int hidden, int mlp, int layers, int heads, int keyValueHeads, int vocabulary,
        int maxPositions = 2048, bool tied = true, string dtype = "float32") => FromConfig(new JsonObject
        {
            ["architectures"] = new JsonArray("LlamaForCausalLM"),
            ["attention_bias"] = false,
            ["hidden_act"] = "silu",
            ["hidden_size"] = hidden,
            ["initializer_range"] = 0.02,
            ["intermediate_size"] = mlp,
            ["max_position_embeddings"] = maxPositions,
            ["mlp_bias"] = false,
            ["model_type"] = "llama",
            ["num_attention_heads"] = heads,
            ["num_hidden_layers"] = layers,
            ["num_key_value_heads"] = keyValueHeads,
            ["rms_norm_eps"] = 1e-5,
            ["rope_theta"] = 10000.0,
            ["tie_word_embeddings"] = tied,
            ["torch_dtype"] = dtype,
            ["vocab_size"] = vocabulary,
        });

    /// <summary>Reads a <c>config.json</c> without weights.</summary>
    /// <param name="configFile">The file.</param>
    /// <exception cref="ModelFileException">The file is missing or damaged, or is not of a supported family.</exception>
    public static SyntheticModel Open(string configFile)
    {
        var config = JsonFile.ReadObject(configFile, MaximumConfigLength);
        return new SyntheticModel(JsonObject.Create(config)!, ArchitectureRegistry.Read(config, configFile));
    }

    /// <summary>Reads a configuration given as JSON.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="file">Where it comes from, for messages.</param>
    /// <exception cref="ModelFileException">The configuration is not one of a supported family.</exception>
    public static SyntheticModel FromConfig(JsonObject config, string file = "config.json")
    {
        using var document = JsonDocument.Parse(config.ToJsonString());
        return new SyntheticModel(config, ArchitectureRegistry.Read(document.RootElement, file));
    }
}
