namespace Compress.Formats.Architectures;

/// <summary>Qwen2 and Qwen2.5 (biases on q, k, v) and Qwen3 (norms on query and key heads instead).</summary>
/// <remarks>Yang et al. 2024, arXiv:2407.10671; Qwen team 2025, arXiv:2505.09388.</remarks>
internal sealed class Qwen : IArchitecture
{
    public IReadOnlyList<string> ModelTypes { get; } = ["qwen2", "qwen3"];

    public SizeKeys Keys { get; } = SizeKeys.Common;

    public ModelSpec Read(ConfigReader config, Func<string, bool> stored)
    {
        config.RefuseFlag("use_mrope");
        var third = config.ModelType == "qwen3";
        return LlamaLike.Read(config, new LlamaLike.Traits
        {
            QueryKeyValueBias = third ? config.Flag("attention_bias", false) : true,
            OutputBias = third && config.Flag("attention_bias", false),
            QueryKeyNorm = third,
            HeadSize = third ? 128 : null,
            KeyValueHeads = 32,
            Window = Window(config),
        });
    }

    private static Func<int, int?> Window(ConfigReader config)
    {
        if (!config.Flag("use_sliding_window", false)) return _ => null;
        var window = config.Count("sliding_window", 4096);
        // The lower layers see everything.
        var full = (int)config.Number("max_window_layers", 28);
        var windowed = Common.Windowed(config, layer => layer >= full);
        return layer => windowed(layer) ? window : null;
    }
}
