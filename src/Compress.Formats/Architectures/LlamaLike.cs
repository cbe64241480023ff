namespace Compress.Formats.Architectures;

/// <summary>The layout that Llama, Mistral, Qwen2 and Qwen3 share; a family states where it differs.</summary>
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

        /// <summary>Attention window of a block, or null for all positions.</summary>
        public Func<int, int?> Window { get; init; } = _ => null;
    }

    public static ModelSpec Read(ConfigReader config, Traits traits)
    {
        var hidden = config.Count("hidden_size");
        var heads = config.Count("num_attention_heads");
        var blocks = config.Count("num_hidden_layers");
        var headSize = Common.HeadSize(config, hidden, heads, traits.HeadSize);
        var vocabulary = config.Count("vocab_size");
        var epsilon = config.Positive("rms_norm_eps", 1e-6);
        var activation = Common.Activation(config, "hidden_act", "silu");
        var rotary = Rope.Read(config, headSize);
        var shapes = BlockShape.ReadAll(config, blocks, heads, config.Count("num_key_value_heads", heads), config.Count("intermediate_size"));
        return new ModelSpec
        {
            Family = config.ModelType,
            HiddenSize = hidden,
            VocabularySize = vocabulary,
            MaxPositions = config.Count("max_position_embeddings", 2048),
            DeclaredType = Common.DeclaredType(config),
            Embedding = new EmbeddingSpec("model.embed_tokens.weight"),
            Blocks = [.. shapes.Select((shape, i) => Block(i, shape))],
            FinalNorm = Common.RmsNorm("model.norm", epsilon),
            Head = Common.Head(config, "model.embed_tokens.weight", hidden, vocabulary, tiedByDefault: false),
        };

        BlockSpec Block(int index, BlockShape shape)
        {
            var prefix = FormattableString.Invariant($"model.layers.{index}");
            return new BlockSpec
            {
                Prefix = prefix,
                Attention = shape.Heads is { } h ? Attention(prefix + ".self_attn", h, shape.KeyValueHeads!.Value, traits.Window(index)) : null,
                Mlp = shape.IntermediateSize is { } channels ? Mlp(prefix + ".mlp", channels) : null,
                AttentionNorm = shape.Heads is null ? null : Common.RmsNorm(prefix + ".input_layernorm", epsilon),
                MlpNorm = shape.IntermediateSize is null ? null : Common.RmsNorm(prefix + ".post_attention_layernorm", epsilon),
            };
        }

        AttentionSpec Attention(string prefix, int h, int kv, int? window) => new()
        {
            Heads = h,
            KeyValueHeads = kv,
            HeadSize = headSize,
            Query = Common.Linear(prefix + ".q_proj", hidden, h * headSize, traits.QueryKeyValueBias),
            Key = Common.Linear(prefix + ".k_proj", hidden, kv * headSize, traits.QueryKeyValueBias),
            Value = Common.Linear(prefix + ".v_proj", hidden, kv * headSize, traits.QueryKeyValueBias),
            Output = Common.Linear(prefix + ".o_proj", h * headSize, hidden, traits.OutputBias),
            QueryNorm = traits.QueryKeyNorm ? Common.RmsNorm(prefix + ".q_norm", epsilon) : null,
            KeyNorm = traits.QueryKeyNorm ? Common.RmsNorm(prefix + ".k_norm", epsilon) : null,
            Rotary = rotary,
            Scale = 1 / Math.Sqrt(headSize),
            Window = window,
        };

        MlpSpec Mlp(string prefix, int channels) => new(
            Common.Linear(prefix + ".gate_proj", hidden, channels, traits.MlpBias),
            Common.Linear(prefix + ".up_proj", hidden, channels, traits.MlpBias),
            Common.Linear(prefix + ".down_proj", channels, hidden, traits.MlpBias),
            activation);
    }
}
