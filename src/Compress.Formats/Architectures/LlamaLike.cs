namespace Compress.Formats.Architectures;

/// <summary>The layout that Llama, Mistral, Qwen and Gemma share; a family states where it differs.</summary>
internal static class LlamaLike
{
    /// <summary>Where a family differs.</summary>
    public sealed record Traits
    {
        public bool QueryKeyValueBias { get; init; }

        public bool OutputBias { get; init; }

        public bool MlpBias { get; init; }

        /// <summary>RMS norm over each query and key head (Qwen3).</summary>
        public bool QueryKeyNorm { get; init; }

        /// <summary>Head size where <c>head_dim</c> is absent; null for hidden size over heads.</summary>
        public int? HeadSize { get; init; }

        /// <summary>KV heads where <c>num_key_value_heads</c> is absent; null for as many as query heads.</summary>
        public int? KeyValueHeads { get; init; }

        /// <summary>Attention window of a layer, or null for all positions.</summary>
        public Func<int, int?> Window { get; init; } = _ => null;

        /// <summary>Given the head size, the rotary embedding of each layer; null for the same in all layers.</summary>
        public Func<int, Func<int, RotarySpec>>? Rotary { get; init; }

        /// <summary>Factor on <c>q·k</c>; null for 1/√head size.</summary>
        public double? Scale { get; init; }

        public double? AttentionSoftCap { get; init; }

        public double? LogitSoftCap { get; init; }

        /// <summary>Added to stored norm scales (Gemma: 1).</summary>
        public double NormOffset { get; init; }

        /// <summary>Norms on the sublayers' outputs as well (Gemma 2, 3).</summary>
        public bool OutputNorms { get; init; }

        /// <summary>Whether token embeddings are multiplied by √hidden size (Gemma).</summary>
        public bool ScaledEmbedding { get; init; }

        public bool TiedByDefault { get; init; }

        /// <summary>The MLP's activation; null to read <c>hidden_act</c>.</summary>
        public Activation? Activation { get; init; }
    }

    public static ModelSpec Read(ConfigReader config, Traits traits)
    {
        var hidden = config.Count("hidden_size");
        var heads = config.Count("num_attention_heads");
        var headSize = Common.HeadSize(config, hidden, heads, traits.HeadSize);
        var vocabulary = config.Count("vocab_size");
        var epsilon = config.Positive("rms_norm_eps", 1e-6);
        var uniform = new BlockShape(
            heads, config.Count("num_key_value_heads", traits.KeyValueHeads ?? heads), config.Count("intermediate_size"), 0);
        var shapes = BlockShape.ReadAll(config, config.Blocks("num_hidden_layers"), uniform, headSize);
        RefusePartialRotary(config);
        var blocks = new Blocks(hidden, headSize, epsilon, traits)
        {
            Activation = traits.Activation ?? Common.Activation(config, "hidden_act", "silu"),
            // Norms over the hidden size alone change their epsilon where that size is cut.
            HeadEpsilon = config.Positive(SmallerConfig.HeadEpsilonKey, epsilon),
            OutputBias = config.Flag(SmallerConfig.OutputBiasKey, false),
            Rotary = traits.Rotary?.Invoke(headSize) ?? Same(Rope.Read(config, headSize)),
        };
        return new ModelSpec
        {
            Family = config.ModelType,
            HiddenSize = hidden,
            VocabularySize = vocabulary,
            MaxPositions = config.Count("max_position_embeddings", 2048),
            DeclaredType = Common.DeclaredType(config),
            Embedding = new EmbeddingSpec("model.embed_tokens.weight", Scale: EmbeddingScale(config, traits, hidden)),
            Blocks = [.. shapes.Select(blocks.Block)],
            FinalNorm = Common.RmsNorm("model.norm", epsilon, traits.NormOffset),
            Head = Common.Head(config, "model.embed_tokens.weight", hidden, vocabulary, traits.TiedByDefault, softCap: traits.LogitSoftCap),
        };
    }

    private static Func<int, RotarySpec> Same(RotarySpec rotary) => _ => rotary;

    private static void RefusePartialRotary(ConfigReader config)
    {
        if (config.Number("partial_rotary_factor", 1) != 1)
        {
            throw config.Wrong("partial_rotary_factor", $"is not 1, which is not supported for {config.ModelType}");
        }
    }

    // A model whose hidden size was cut keeps the factor it was trained with.
    private static double EmbeddingScale(ConfigReader config, Traits traits, int hidden) =>
        traits.ScaledEmbedding ? config.OptionalPositive(SmallerConfig.EmbeddingScaleKey) ?? Math.Sqrt(hidden) : 1;

    private sealed class Blocks(int hidden, int headSize, double epsilon, Traits traits)
    {
        public required Activation Activation { get; init; }

        public required Func<int, RotarySpec> Rotary { get; init; }

        public required double HeadEpsilon { get; init; }

        public required bool OutputBias { get; init; }

        public BlockSpec Block(BlockShape shape, int index)
        {
            var prefix = FormattableString.Invariant($"model.layers.{index}");
            var (attends, feeds) = (shape.Heads is not null, shape.IntermediateSize is not null);
            return new BlockSpec
            {
                Prefix = prefix,
                Attention = attends ? Attention(prefix + ".self_attn", shape) : null,
                Mlp = shape.IntermediateSize is { } channels ? Mlp(prefix + ".mlp", channels) : null,
                AttentionNorm = Norm(attends, prefix + ".input_layernorm"),
                AttentionOutputNorm = Norm(attends && traits.OutputNorms, prefix + ".post_attention_layernorm"),
                MlpNorm = Norm(feeds, prefix + (traits.OutputNorms ? ".pre_feedforward_layernorm" : ".post_attention_layernorm")),
                MlpOutputNorm = Norm(feeds && traits.OutputNorms, prefix + ".post_feedforward_layernorm"),
            };
        }

        private NormSpec? Norm(bool present, string name) => present ? Common.RmsNorm(name, epsilon, traits.NormOffset) : null;

        private NormSpec? HeadNorm(string name) =>
            traits.QueryKeyNorm ? Common.RmsNorm(name, HeadEpsilon, traits.NormOffset) : null;

        private AttentionSpec Attention(string prefix, BlockShape shape)
        {
            var (heads, keyValueHeads) = (shape.Heads!.Value, shape.KeyValueHeads!.Value);
            return new AttentionSpec
            {
                Heads = heads,
                KeyValueHeads = keyValueHeads,
                HeadSize = headSize,
                Query = Common.Linear(prefix + ".q_proj", hidden, heads * headSize, traits.QueryKeyValueBias),
                Key = Common.Linear(prefix + ".k_proj", hidden, keyValueHeads * headSize, traits.QueryKeyValueBias),
                Value = Common.Linear(prefix + ".v_proj", hidden, keyValueHeads * headSize, traits.QueryKeyValueBias),
                Output = Common.Linear(prefix + ".o_proj", heads * headSize, hidden, traits.OutputBias || OutputBias),
                QueryNorm = HeadNorm(prefix + ".q_norm"),
                KeyNorm = HeadNorm(prefix + ".k_norm"),
                Rotary = Rotary(shape.Layer),
                Scale = traits.Scale ?? 1 / Math.Sqrt(headSize),
                SoftCap = traits.AttentionSoftCap,
                Window = traits.Window(shape.Layer),
            };
        }

        private MlpSpec Mlp(string prefix, int channels) => new(
            Common.Linear(prefix + ".gate_proj", hidden, channels, traits.MlpBias),
            Common.Linear(prefix + ".up_proj", hidden, channels, traits.MlpBias),
            Common.Linear(prefix + ".down_proj", channels, hidden, traits.MlpBias || OutputBias),
            Activation);
    }
}
