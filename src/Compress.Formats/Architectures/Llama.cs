namespace Compress.Formats.Architectures;

/// <summary>Llama 1 to 3.x and others of <c>model_type: llama</c>: RMS norms, rotary, grouped KV heads, gated MLP.</summary>
/// <remarks>Touvron et al. 2023, arXiv:2302.13971; grouped heads: Ainslie et al. 2023, arXiv:2305.13245.</remarks>
internal sealed class Llama : IArchitecture
{
    public IReadOnlyList<string> ModelTypes { get; } = ["llama"];

    public SizeKeys Keys { get; } = SizeKeys.Common;

    public ModelSpec Read(ConfigReader config, Func<string, bool> stored)
    {
        config.RefuseFlag("rope_interleaved");
        return LlamaLike.Read(config, new LlamaLike.Traits
        {
            QueryKeyValueBias = config.Flag("attention_bias", false),
            OutputBias = config.Flag("attention_bias", false),
            MlpBias = config.Flag("mlp_bias", false),
        });
    }

    // Older checkpoints carry the frequencies that the configuration determines.
    public bool IsBuffer(string tensor) => tensor.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal);
}
