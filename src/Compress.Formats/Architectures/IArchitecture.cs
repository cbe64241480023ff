namespace Compress.Formats.Architectures;

/// <summary>One model family: turns its <c>config.json</c> into a <see cref="ModelSpec"/>.</summary>
internal interface IArchitecture
{
    /// <summary>Values of <c>model_type</c> that the family serves.</summary>
    IReadOnlyList<string> ModelTypes { get; }

    /// <summary>The keys under which the family's <c>config.json</c> holds its sizes.</summary>
    SizeKeys Keys { get; }

    /// <summary>The specification.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="stored">Whether the checkpoint holds a tensor of that name; always false where only a configuration is at hand.</param>
    ModelSpec Read(ConfigReader config, Func<string, bool> stored);

    /// <summary>Whether a stored tensor that the specification does not name is a buffer that the family's own code ignores.</summary>
    bool IsBuffer(string tensor) => false;
}

/// <summary>Keys of a family's sizes in <c>config.json</c>.</summary>
/// <param name="Hidden">Residual stream width.</param>
/// <param name="Blocks">Number of blocks.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="KeyValueHeads">KV heads; null where the family cannot share them.</param>
/// <param name="Intermediate">MLP channels.</param>
/// <param name="NormEpsilon">Epsilon of the norms; null where it is fixed.</param>
internal sealed record SizeKeys(string Hidden, string Blocks, string Heads, string? KeyValueHeads, string Intermediate, string? NormEpsilon)
{
    /// <summary>The keys of Llama, which most families took over.</summary>
    public static SizeKeys Common { get; } = new(
        "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size", "rms_norm_eps");
}
