namespace Compress.Formats.Architectures;

/// <summary>GPT-NeoX, Pythia: partial rotary, q, k, v interleaved by head in one tensor, parallel sublayers with their own norms.</summary>
/// <remarks>Black et al. 2022, arXiv:2204.06745; Biderman et al. 2023, arXiv:2304.01373.</remarks>
internal sealed class GptNeoX : IArchitecture
{
    public IReadOnlyList<string> ModelTypes { get; } = ["gpt_neox"];

    public SizeKeys Keys { get; } = SizeKeys.Common with { KeyValueHeads = null, NormEpsilon = "layer_norm_eps" };

    public ModelSpec Read(ConfigReader config, Func<string, bool> stored)
    {
        var hidden = config.Count("hidden_size");
        var heads = config.Count("num_attention_heads");
        var headSize = Common.HeadSize(config, hidden, heads);
        var vocabulary = config.Count("vocab_size");
        var epsilon = config.Positive("layer_norm_eps", 1e-5);
        var activation = Common.Activation(config, "hidden_act", "gelu");
        var bias = config.Flag("attention_bias", true);
        var parallel = config.Flag("use_parallel_residual", true);
        var rotary = Rope.Read(
            config, Rope.PartialDimensions(config, headSize, "rotary_pct", 0.25), config.Positive("rotary_emb_base", 10000));
        var uniform = new BlockShape(heads, heads, config.Count("intermediate_size"), 0);
        var shapes = BlockShape.ReadAll(config, config.Blocks("num_hidden_layers"), uniform, headSize, grouped: false);
        return new ModelSpec
        {
            Family = config.ModelType,
            HiddenSize = hidden,
            VocabularySize = vocabulary,
            MaxPositions = config.Count("max_position_embeddings", 2048),
            DeclaredType = Common.DeclaredType(config),
            Embedding = new EmbeddingSpec("gpt_neox.embed_in.weight"),
            Blocks = [.. shapes.Select(new Layout(hidden, headSize, epsilon, activation, bias, parallel, rotary).Block)],
            FinalNorm = Common.LayerNorm("gpt_neox.final_layer_norm", epsilon),
            Head = Common.Head(config, "gpt_neox.embed_in.weight", hidden, vocabulary, tiedByDefault: false, name: "embed_out"),
        };
    }

    public bool IsBuffer(string tensor) => tensor.EndsWith(".attention.rotary_emb.inv_freq", StringComparison.Ordinal)
        || tensor.EndsWith(".attention.bias", StringComparison.Ordinal)
        || tensor.EndsWith(".attention.masked_bias", StringComparison.Ordinal);

    private sealed class Layout(
        int hidden, int headSize, double epsilon, Activation activation, bool bias, bool parallel, RotarySpec rotary)
    {
        public BlockSpec Block(BlockShape shape, int index)
        {
            var prefix = FormattableString.Invariant($"gpt_neox.layers.{index}");
            return new BlockSpec
            {
                Prefix = prefix,
                Attention = shape.Heads is { } h ? Attention(prefix + ".attention", h) : null,
                Mlp = shape.IntermediateSize is not { } channels ? null : new MlpSpec(
                    null,
                    Common.Linear(prefix + ".mlp.dense_h_to_4h", hidden, channels, bias: true),
                    Common.Linear(prefix + ".mlp.dense_4h_to_h", channels, hidden, bias: true),
                    activation),
                AttentionNorm = shape.Heads is null ? null : Common.LayerNorm(prefix + ".input_layernorm", epsilon),
                MlpNorm = shape.IntermediateSize is null ? null : Common.LayerNorm(prefix + ".post_attention_layernorm", epsilon),
                ParallelResidual = parallel,
            };
        }

        private AttentionSpec Attention(string prefix, int h) => new()
        {
            Heads = h,
            KeyValueHeads = h,
            HeadSize = headSize,
            Query = Interleaved(prefix, "q", h, 0),
            Key = Interleaved(prefix, "k", h, headSize),
            Value = Interleaved(prefix, "v", h, 2 * headSize),
            Output = Common.Linear(prefix + ".dense", h * headSize, hidden, bias),
            Rotary = rotary,
            Scale = 1 / Math.Sqrt(headSize),
        };

        // Each head's query, key and value rows follow one another.
        private LinearSpec Interleaved(string prefix, string part, int h, int start) => Common.FusedPart(
            prefix + ".query_key_value", part, new RowPattern(start, h * headSize, headSize, 3 * headSize), hidden, bias);
    }
}
