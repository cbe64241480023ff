namespace Compress.Formats.Architectures;

/// <summary>Gemma, Gemma 2 and the text models of Gemma 3: norms scaled by 1 + w, embeddings by √hidden size, tied head.</summary>
/// <remarks>
/// Gemma team 2024, arXiv:2403.08295; Gemma 2 (norms around sublayers, soft caps, alternating windows): arXiv:2408.00118; Gemma 3
/// (q/k norms, five windowed layers to one global, each kind with its own rotary base): arXiv:2503.19786.
/// </remarks>
internal sealed class Gemma : IArchitecture
{
    public IReadOnlyList<string> ModelTypes { get; } = ["gemma", "gemma2", "gemma3_text"];

    public SizeKeys Keys { get; } = SizeKeys.Common;

    public ModelSpec Read(ConfigReader config, Func<string, bool> stored)
    {
        config.RefuseFlag("use_bidirectional_attention");
        var bias = config.Flag("attention_bias", false);
        var common = new LlamaLike.Traits
        {
            QueryKeyValueBias = bias,
            OutputBias = bias,
            HeadSize = 256,
            NormOffset = 1,
            ScaledEmbedding = true,
            TiedByDefault = true,
        };
        return LlamaLike.Read(config, config.ModelType switch
        {
            "gemma" => First(config, common),
            "gemma2" => Second(config, common),
            _ => Third(config, common),
        });
    }

    // The first configurations say "gelu" where the model was trained, and is run, with the tanh approximation.
    private static LlamaLike.Traits First(ConfigReader config, LlamaLike.Traits common) => common with
    {
        KeyValueHeads = 16,
        Activation = Common.Activation(config, "hidden_activation", "gelu_pytorch_tanh"),
    };

    private static LlamaLike.Traits Second(ConfigReader config, LlamaLike.Traits common)
    {
        var window = config.Count("sliding_window", 4096);
        var windowed = Common.Windowed(config, layer => layer % 2 == 0);
        return Later(config, common) with
        {
            AttentionSoftCap = SoftCap(config, "attn_logit_softcapping", 50),
            LogitSoftCap = SoftCap(config, "final_logit_softcapping", 30),
            Window = layer => windowed(layer) ? window : null,
        };
    }

    private static LlamaLike.Traits Third(ConfigReader config, LlamaLike.Traits common)
    {
        var window = config.Count("sliding_window", 4096);
        var every = config.Count("sliding_window_pattern", 6);
        var windowed = Common.Windowed(config, layer => (layer + 1) % every != 0);
        return Later(config, common) with
        {
            QueryKeyNorm = true,
            AttentionSoftCap = SoftCap(config, "attn_logit_softcapping", null),
            LogitSoftCap = SoftCap(config, "final_logit_softcapping", null),
            Window = layer => windowed(layer) ? window : null,
            Rotary = headSize =>
            {
                var global = Rope.Read(config, headSize, 1_000_000, "full_attention");
                // rope_scaling stretches the global layers only.
                var local = config.Section("rope_parameters")?.Section("sliding_attention") is { } own
                    ? Rope.Build(config, own, headSize, own.Positive("rope_theta", 10000))
                    : Rope.Build(config, null, headSize, config.Positive("rope_local_base_freq", 10000));
                return layer => windowed(layer) ? local : global;
            },
        };
    }

    private static LlamaLike.Traits Later(ConfigReader config, LlamaLike.Traits common) => common with
    {
        KeyValueHeads = 4,
        OutputNorms = true,
        Scale = 1 / Math.Sqrt(config.Positive("query_pre_attn_scalar", 256)),
        Activation = Common.Activation(config, "hidden_activation", "gelu_pytorch_tanh"),
    };

    private static double? SoftCap(ConfigReader config, string key, double? fallback) =>
        config.Keys.Contains(key) ? config.OptionalPositive(key) : fallback;
}
