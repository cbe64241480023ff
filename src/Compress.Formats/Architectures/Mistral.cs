namespace Compress.Formats.Architectures;

/// <summary>Mistral 7B and its successors of <c>model_type: mistral</c>: Llama with a sliding window in every layer.</summary>
/// <remarks>Jiang et al. 2023, arXiv:2310.06825.</remarks>
internal sealed class Mistral : IArchitecture
{
    public IReadOnlyList<string> ModelTypes { get; } = ["mistral"];

    public SizeKeys Keys { get; } = SizeKeys.Common;

    public ModelSpec Read(ConfigReader config, Func<string, bool> stored)
    {
        // Without the key the published configuration class means 4096; null means no window.
        var window = config.Keys.Contains("sliding_window") ? config.OptionalCount("sliding_window") : 4096;
        var windowed = Common.Windowed(config, _ => true);
        return LlamaLike.Read(config, new LlamaLike.Traits { KeyValueHeads = 8, Window = layer => windowed(layer) ? window : null });
    }

    public bool IsBuffer(string tensor) => tensor.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal);
}
