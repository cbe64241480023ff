namespace Compress.Formats.Architectures;

/// <summary>Phi-3, 3.5 and 4-mini: Llama's block with q, k, v and gate, up stored in one tensor each, longrope, a window.</summary>
/// <remarks>Abdin et al. 2024, arXiv:2404.14219.</remarks>
internal sealed class Phi3 : IArchitecture
{
    public IReadOnlyList<string> ModelTypes { get; } = ["phi3"];

    public SizeKeys Keys { get; } = SizeKeys.Common;

    public ModelSpec Read(ConfigReader config, Func<string, bool> stored)
    {
        var hidden = config.Count("hidden_size");
        var heads = config.Count("num_attention_heads");
        var headSize = Common.HeadSize(config, hidden, heads);
        var vocabulary = config.Count("vocab_size");
        var epsilon = config.Positive("rms_norm_eps", 1e-5);
        var bias = config.Flag("attention_bias", false);
        var activation = Common.Activation(config, "hidden_act", "silu");
        var window = config.OptionalCount("sliding_window");
        var rotary = Rope.Read(config, Rope.PartialDimensions(config, headSize, "partial_rotary_factor", 1));
        var uniform = new BlockShape(heads, config.Count("num_key_value_heads", heads), config.Count("intermediate_size"), 0);
        var shapes = BlockShape.ReadAll(config, config.Blocks("num_hidden_layers"), uniform, headSize);
        return new ModelSpec
        {
            Family = config.ModelType,
            HiddenSize = hidden,
            VocabularySize = vocabulary,
            MaxPositions = config.Count("max_position_embeddings", 4096),
            DeclaredType = Common.DeclaredType(config),
            Embedding = new EmbeddingSpec("model.embed_tokens.weight"),
            Blocks = [.. shapes.Select(new Layout(hidden, headSize, epsilon, bias, activation, window, rotary).Block)],
            FinalNorm = Common.RmsNorm("model.norm", epsilon),
            Head = Common.Head(config, "model.embed_tokens.weight", hidden, vocabulary, tiedByDefault: false),
        };
    }

    public bool IsBuffer(string tensor) => tensor.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal);

    private sealed class Layout(
        int hidden, int headSize, double epsilon, bool bias, Activation activation, int? window, RotarySpec rotary)
    {
        public BlockSpec Block(BlockShape shape, int index)
        {
            var prefix = FormattableString.Invariant($"model.layers.{index}");
            return new BlockSpec
            {
                Prefix = prefix,
                Attention = shape.Heads is null ? null : Attention(prefix + ".self_attn", shape),
                Mlp = shape.IntermediateSize is { } channels ? Mlp(prefix + ".mlp", channels) : null,
                AttentionNorm = shape.Heads is null ? null : Common.RmsNorm(prefix + ".input_layernorm", epsilon),
                MlpNorm = shape.IntermediateSize is null ? null : Common.RmsNorm(prefix + ".post_attention_layernorm", epsilon),
            };
        }

        private AttentionSpec Attention(string prefix, BlockShape shape)
        {
            var (queries, keys) = (shape.Heads!.Value * headSize, shape.KeyValueHeads!.Value * headSize);
            var fused = prefix + ".qkv_proj";
            return new AttentionSpec
            {
                Heads = shape.Heads.Value,
                KeyValueHeads = shape.KeyValueHeads.Value,
                HeadSize = headSize,
                Query = Common.FusedPart(fused, "q", Common.Rows(0, queries), hidden, bias),
                Key = Common.FusedPart(fused, "k", Common.Rows(queries, keys), hidden, bias),
                Value = Common.FusedPart(fused, "v", Common.Rows(queries + keys, keys), hidden, bias),
                Output = Common.Linear(prefix + ".o_proj", queries, hidden, bias),
                Rotary = rotary,
                Scale = 1 / Math.Sqrt(headSize),
                Window = window,
            };
        }

        private MlpSpec Mlp(string prefix, int channels) => new(
            Common.FusedPart(prefix + ".gate_up_proj", "gate", Common.Rows(0, channels), hidden, false),
            Common.FusedPart(prefix + ".gate_up_proj", "up", Common.Rows(channels, channels), hidden, false),
            Common.Linear(prefix + ".down_proj", channels, hidden),
            activation);
    }
}
