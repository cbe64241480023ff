namespace Compress.Formats.Architectures;

/// <summary>GPT-2: learned positions, layer norms, plain MLP; weights stored as <c>[in, out]</c> (Conv1D), q, k, v in one tensor.</summary>
/// <remarks>Radford et al. 2019, "Language Models are Unsupervised Multitask Learners".</remarks>
internal sealed class Gpt2 : IArchitecture
{
    public IReadOnlyList<string> ModelTypes { get; } = ["gpt2"];

    public SizeKeys Keys { get; } = new("n_embd", "n_layer", "n_head", null, "n_inner", "layer_norm_epsilon");

    public ModelSpec Read(ConfigReader config, Func<string, bool> stored)
    {
        config.RefuseFlag("add_cross_attention");
        var hidden = config.Count("n_embd");
        var heads = config.Count("n_head");
        var headSize = Common.HeadSize(config, hidden, heads);
        var vocabulary = config.Count("vocab_size");
        var epsilon = config.Positive("layer_norm_epsilon", 1e-5);
        var activation = Common.Activation(config, "activation_function", "gelu_new");
        var scale = config.Flag("scale_attn_weights", true) ? 1 / Math.Sqrt(headSize) : 1;
        var byLayer = config.Flag("scale_attn_by_inverse_layer_idx", false);
        var uniform = new BlockShape(heads, heads, config.Count("n_inner", 4 * hidden), 0);
        var shapes = BlockShape.ReadAll(config, config.Blocks("n_layer"), uniform, headSize, grouped: false);
        // The first checkpoints were saved without the head, hence without its prefix.
        var root = stored("wte.weight") ? "" : "transformer.";
        return new ModelSpec
        {
            Family = config.ModelType,
            HiddenSize = hidden,
            VocabularySize = vocabulary,
            MaxPositions = config.Count("n_positions", 1024),
            DeclaredType = Common.DeclaredType(config),
            Embedding = new EmbeddingSpec(root + "wte.weight", root + "wpe.weight"),
            Blocks = [.. shapes.Select(new Layout(root, hidden, headSize, epsilon, activation, scale, byLayer).Block)],
            FinalNorm = Common.LayerNorm(root + "ln_f", epsilon),
            Head = Common.Head(config, root + "wte.weight", hidden, vocabulary, tiedByDefault: true),
        };
    }

    // Causal masks, stored by older versions of the modelling code.
    public bool IsBuffer(string tensor) =>
        tensor.EndsWith(".attn.bias", StringComparison.Ordinal) || tensor.EndsWith(".attn.masked_bias", StringComparison.Ordinal);

    private static LinearSpec Conv(string name, int inFeatures, int outFeatures) => new(
        name, new WeightPart(name + ".weight", Transposed: true), new WeightPart(name + ".bias"), inFeatures, outFeatures);

    private sealed class Layout(
        string root, int hidden, int headSize, double epsilon, Activation activation, double scale, bool byLayer)
    {
        public BlockSpec Block(BlockShape shape, int index)
        {
            var prefix = FormattableString.Invariant($"{root}h.{index}");
            return new BlockSpec
            {
                Prefix = prefix,
                Attention = shape.Heads is null ? null : Attention(prefix + ".attn", shape),
                Mlp = shape.IntermediateSize is not { } channels ? null : new MlpSpec(
                    null,
                    Conv(prefix + ".mlp.c_fc", hidden, channels),
                    Conv(prefix + ".mlp.c_proj", channels, hidden),
                    activation),
                AttentionNorm = shape.Heads is null ? null : Common.LayerNorm(prefix + ".ln_1", epsilon),
                MlpNorm = shape.IntermediateSize is null ? null : Common.LayerNorm(prefix + ".ln_2", epsilon),
            };
        }

        private AttentionSpec Attention(string prefix, BlockShape shape)
        {
            var width = shape.Heads!.Value * headSize;
            return new AttentionSpec
            {
                Heads = shape.Heads.Value,
                KeyValueHeads = shape.Heads.Value,
                HeadSize = headSize,
                Query = Fused("q", 0),
                Key = Fused("k", width),
                Value = Fused("v", 2 * width),
                Output = Conv(prefix + ".c_proj", width, hidden),
                Scale = byLayer ? scale / (shape.Layer + 1) : scale,
            };

            LinearSpec Fused(string part, int start) =>
                Common.FusedPart(prefix + ".c_attn", part, Common.Rows(start, width), hidden, bias: true, transposed: true);
        }
    }
}
