namespace Compress.Formats.Architectures;

/// <summary>OPT: learned positions behind an offset of two, ReLU, biases, layer norms before (in one size, after) the sublayers.</summary>
/// <remarks>Zhang et al. 2022, arXiv:2205.01068.</remarks>
internal sealed class Opt : IArchitecture
{
    private const double Epsilon = 1e-5;

    public IReadOnlyList<string> ModelTypes { get; } = ["opt"];

    public SizeKeys Keys { get; } = SizeKeys.Common with { KeyValueHeads = null, Intermediate = "ffn_dim", NormEpsilon = null };

    public ModelSpec Read(ConfigReader config, Func<string, bool> stored)
    {
        var hidden = config.Count("hidden_size");
        if (config.Count("word_embed_proj_dim", hidden) != hidden)
        {
            throw config.Wrong("word_embed_proj_dim", FormattableString.Invariant(
                $"is {config.Count("word_embed_proj_dim")} where hidden_size is {hidden}: projected embeddings are not supported"));
        }
        var heads = config.Count("num_attention_heads");
        var headSize = Common.HeadSize(config, hidden, heads);
        var vocabulary = config.Count("vocab_size");
        var bias = config.Flag("enable_bias", true);
        var affine = config.Flag("layer_norm_elementwise_affine", true);
        var before = config.Flag("do_layer_norm_before", true);
        var activation = Common.Activation(config, "activation_function", "relu");
        var uniform = new BlockShape(heads, heads, config.Count("ffn_dim"), 0);
        var shapes = BlockShape.ReadAll(config, config.Blocks("num_hidden_layers"), uniform, headSize, grouped: false);
        var root = stored("decoder.embed_tokens.weight") ? "decoder." : "model.decoder.";
        var layout = new Layout(root, hidden, headSize, bias, affine, before, activation);
        return new ModelSpec
        {
            Family = config.ModelType,
            HiddenSize = hidden,
            VocabularySize = vocabulary,
            MaxPositions = config.Count("max_position_embeddings", 2048),
            DeclaredType = Common.DeclaredType(config),
            Embedding = new EmbeddingSpec(root + "embed_tokens.weight", root + "embed_positions.weight", PositionOffset: 2),
            Blocks = [.. shapes.Select(layout.Block)],
            FinalNorm = before && !config.Flag("_remove_final_layer_norm", false) ? layout.Norm(root + "final_layer_norm") : null,
            Head = Common.Head(config, root + "embed_tokens.weight", hidden, vocabulary, tiedByDefault: true),
        };
    }

    private sealed class Layout(
        string root, int hidden, int headSize, bool bias, bool affine, bool before, Activation activation)
    {
        public NormSpec Norm(string name) =>
            affine ? Common.LayerNorm(name, Epsilon) : new NormSpec(NormKind.Layer, null, null, Epsilon);

        public BlockSpec Block(BlockShape shape, int index)
        {
            var prefix = FormattableString.Invariant($"{root}layers.{index}");
            return new BlockSpec
            {
                Prefix = prefix,
                Attention = shape.Heads is { } h ? Attention(prefix + ".self_attn", h) : null,
                Mlp = shape.IntermediateSize is not { } channels ? null : new MlpSpec(
                    null,
                    Common.Linear(prefix + ".fc1", hidden, channels, bias),
                    Common.Linear(prefix + ".fc2", channels, hidden, bias),
                    activation),
                AttentionNorm = shape.Heads is null ? null : Norm(prefix + ".self_attn_layer_norm"),
                MlpNorm = shape.IntermediateSize is null ? null : Norm(prefix + ".final_layer_norm"),
                PostNorm = !before,
            };
        }

        private AttentionSpec Attention(string prefix, int h) => new()
        {
            Heads = h,
            KeyValueHeads = h,
            HeadSize = headSize,
            Query = Common.Linear(prefix + ".q_proj", hidden, h * headSize, bias),
            Key = Common.Linear(prefix + ".k_proj", hidden, h * headSize, bias),
            Value = Common.Linear(prefix + ".v_proj", hidden, h * headSize, bias),
            Output = Common.Linear(prefix + ".out_proj", h * headSize, hidden, bias),
            Scale = 1 / Math.Sqrt(headSize),
        };
    }
}
