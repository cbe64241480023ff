namespace Compress.Formats.Architectures;

/// <summary>Phi-1, 1.5 and 2: parallel sublayers behind one layer norm, partial rotary, biases everywhere.</summary>
/// <remarks>Li et al. 2023, arXiv:2309.05463.</remarks>
internal sealed class Phi : IArchitecture
{
    public IReadOnlyList<string> ModelTypes { get; } = ["phi"];

    public SizeKeys Keys { get; } = SizeKeys.Common with { NormEpsilon = "layer_norm_eps" };

    public ModelSpec Read(ConfigReader config, Func<string, bool> stored)
    {
        var hidden = config.Count("hidden_size");
        var heads = config.Count("num_attention_heads");
        var headSize = Common.HeadSize(config, hidden, heads);
        var vocabulary = config.Count("vocab_size");
        var epsilon = config.Positive("layer_norm_eps", 1e-5);
        var activation = Common.Activation(config, "hidden_act", "gelu_new");
        var headNorms = config.Flag("qk_layernorm", false);
        var rotary = Rope.Read(config, Rope.PartialDimensions(config, headSize, "partial_rotary_factor", 0.5));
        var uniform = new BlockShape(heads, config.Count("num_key_value_heads", heads), config.Count("intermediate_size"), 0);
        var shapes = BlockShape.ReadAll(config, config.Blocks("num_hidden_layers"), uniform, headSize);
        return new ModelSpec
        {
            Family = config.ModelType,
            HiddenSize = hidden,
            VocabularySize = vocabulary,
            MaxPositions = config.Count("max_position_embeddings", 2048),
            DeclaredType = Common.DeclaredType(config),
            Embedding = new EmbeddingSpec("model.embed_tokens.weight"),
            Blocks = [.. shapes.Select(new Layout(hidden, headSize, epsilon, activation, headNorms, rotary).Block)],
            FinalNorm = Common.LayerNorm("model.final_layernorm", epsilon),
            Head = Common.Head(config, "model.embed_tokens.weight", hidden, vocabulary, tiedByDefault: false, bias: true),
        };
    }

    public bool IsBuffer(string tensor) => tensor.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal);

    private sealed class Layout(
        int hidden, int headSize, double epsilon, Activation activation, bool headNorms, RotarySpec rotary)
    {
        public BlockSpec Block(BlockShape shape, int index)
        {
            var prefix = FormattableString.Invariant($"model.layers.{index}");
            return new BlockSpec
            {
                Prefix = prefix,
                Attention = shape.Heads is null ? null : Attention(prefix + ".self_attn", shape),
                Mlp = shape.IntermediateSize is not { } channels ? null : new MlpSpec(
                    null,
                    Common.Linear(prefix + ".mlp.fc1", hidden, channels, bias: true),
                    Common.Linear(prefix + ".mlp.fc2", channels, hidden, bias: true),
                    activation),
                AttentionNorm = Common.LayerNorm(prefix + ".input_layernorm", epsilon),
                ParallelResidual = true,
            };
        }

        private AttentionSpec Attention(string prefix, BlockShape shape)
        {
            var (h, kv) = (shape.Heads!.Value, shape.KeyValueHeads!.Value);
            return new AttentionSpec
            {
                Heads = h,
                KeyValueHeads = kv,
                HeadSize = headSize,
                Query = Common.Linear(prefix + ".q_proj", hidden, h * headSize, bias: true),
                Key = Common.Linear(prefix + ".k_proj", hidden, kv * headSize, bias: true),
                Value = Common.Linear(prefix + ".v_proj", hidden, kv * headSize, bias: true),
                Output = Common.Linear(prefix + ".dense", h * headSize, hidden, bias: true),
                QueryNorm = headNorms ? Common.LayerNorm(prefix + ".q_layernorm", epsilon) : null,
                KeyNorm = headNorms ? Common.LayerNorm(prefix + ".k_layernorm", epsilon) : null,
                Rotary = rotary,
                Scale = 1 / Math.Sqrt(headSize),
            };
        }
    }
}
