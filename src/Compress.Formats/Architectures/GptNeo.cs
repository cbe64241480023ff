using System.Text.Json;

namespace Compress.Formats.Architectures;

/// <summary>GPT-Neo: GPT-2's block with unscaled attention, every other layer local, and no bias on q, k, v.</summary>
/// <remarks>Black et al. 2021, doi:10.5281/zenodo.5297715.</remarks>
internal sealed class GptNeo : IArchitecture
{
    public IReadOnlyList<string> ModelTypes { get; } = ["gpt_neo"];

    public SizeKeys Keys { get; } = new("hidden_size", "num_layers", "num_heads", null, "intermediate_size", "layer_norm_epsilon");

    public ModelSpec Read(ConfigReader config, Func<string, bool> stored)
    {
        config.RefuseFlag("rotary");
        var hidden = config.Count("hidden_size");
        var heads = config.Count("num_heads");
        var headSize = Common.HeadSize(config, hidden, heads);
        var vocabulary = config.Count("vocab_size");
        var epsilon = config.Positive("layer_norm_epsilon", 1e-5);
        var activation = Common.Activation(config, "activation_function", "gelu_new");
        var window = config.Count("window_size", 256);
        var local = LocalLayers(config);
        var uniform = new BlockShape(heads, heads, config.Count("intermediate_size", 4 * hidden), 0);
        var shapes = BlockShape.ReadAll(config, config.Blocks("num_layers"), uniform, headSize, grouped: false);
        var root = stored("wte.weight") ? "" : "transformer.";
        return new ModelSpec
        {
            Family = config.ModelType,
            HiddenSize = hidden,
            VocabularySize = vocabulary,
            MaxPositions = config.Count("max_position_embeddings", 2048),
            DeclaredType = Common.DeclaredType(config),
            Embedding = new EmbeddingSpec(root + "wte.weight", root + "wpe.weight"),
            Blocks = [.. shapes.Select(new Layout(config, root, hidden, headSize, epsilon, activation, window, local).Block)],
            FinalNorm = Common.LayerNorm(root + "ln_f", epsilon),
            Head = Common.Head(config, root + "wte.weight", hidden, vocabulary, tiedByDefault: true),
        };
    }

    public bool IsBuffer(string tensor) => tensor.EndsWith(".attn.attention.bias", StringComparison.Ordinal)
        || tensor.EndsWith(".attn.attention.masked_bias", StringComparison.Ordinal);

    /// <summary>Which layers are local: <c>attention_layers</c>, or <c>attention_types</c>: <c>[[["global", "local"], 12]]</c>.</summary>
    private static List<bool> LocalLayers(ConfigReader config)
    {
        if (config.List("attention_layers") is { } layers) return [.. layers.Select(l => IsLocal(config, "attention_layers", l))];
        var key = "attention_types";
        var local = new List<bool>();
        foreach (var entry in config.List(key) ?? throw config.Wrong(key, "is missing"))
        {
            if (entry.ValueKind != JsonValueKind.Array || entry.GetArrayLength() != 2 || entry[0].ValueKind != JsonValueKind.Array
                || entry[1].ValueKind != JsonValueKind.Number || !entry[1].TryGetInt32(out var repeats) || repeats is < 1 or > 4096)
            {
                throw config.Wrong(key, "is malformed; expected pairs of a list of kinds and a count, as [[[\"global\", \"local\"], 12]]");
            }
            var kinds = entry[0].EnumerateArray().Select(k => IsLocal(config, key, k)).ToArray();
            for (var i = 0; i < repeats; i++) local.AddRange(kinds);
        }
        return local;
    }

    private static bool IsLocal(ConfigReader config, string key, JsonElement kind) =>
        kind.ValueKind == JsonValueKind.String && kind.GetString() is "global" or "local"
            ? kind.GetString() == "local"
            : throw config.Wrong(key, $"holds {ConfigReader.Show(kind)}; expected \"global\" or \"local\"");

    private sealed class Layout(
        ConfigReader config, string root, int hidden, int headSize, double epsilon, Activation activation, int window,
        List<bool> local)
    {
        public BlockSpec Block(BlockShape shape, int index)
        {
            var prefix = FormattableString.Invariant($"{root}h.{index}");
            return new BlockSpec
            {
                Prefix = prefix,
                Attention = shape.Heads is null ? null : Attention(prefix + ".attn.attention", shape),
                Mlp = shape.IntermediateSize is not { } channels ? null : new MlpSpec(
                    null,
                    Common.Linear(prefix + ".mlp.c_fc", hidden, channels, bias: true),
                    Common.Linear(prefix + ".mlp.c_proj", channels, hidden, bias: true),
                    activation),
                AttentionNorm = shape.Heads is null ? null : Common.LayerNorm(prefix + ".ln_1", epsilon),
                MlpNorm = shape.IntermediateSize is null ? null : Common.LayerNorm(prefix + ".ln_2", epsilon),
            };
        }

        private AttentionSpec Attention(string prefix, BlockShape shape)
        {
            var width = shape.Heads!.Value * headSize;
            if (shape.Layer >= local.Count)
            {
                throw config.Wrong(
                    "attention_types", FormattableString.Invariant($"covers {local.Count} layers; layer {shape.Layer} is asked for"));
            }
            return new AttentionSpec
            {
                Heads = shape.Heads.Value,
                KeyValueHeads = shape.Heads.Value,
                HeadSize = headSize,
                Query = Common.Linear(prefix + ".q_proj", hidden, width),
                Key = Common.Linear(prefix + ".k_proj", hidden, width),
                Value = Common.Linear(prefix + ".v_proj", hidden, width),
                Output = Common.Linear(prefix + ".out_proj", width, hidden, bias: true),
                Scale = 1,
                Window = local[shape.Layer] ? window : null,
            };
        }
    }
}
