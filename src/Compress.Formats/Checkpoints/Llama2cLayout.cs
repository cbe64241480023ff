namespace Compress.Formats.Checkpoints;

/// <summary>The order of tensors in a llama2.c file, which has no directory of its own (export.py, legacy_export and
/// version1_export).</summary>
internal static class Llama2cLayout
{
    /// <summary>One stored tensor.</summary>
    /// <param name="Name">Hugging Face's name; null for data that is not a parameter.</param>
    /// <param name="Rows">First size.</param>
    /// <param name="Columns">Second size, or null for a vector.</param>
    /// <param name="Quantized">True for int8 codes and scales.</param>
    /// <param name="Rotated">True for projections whose rows are in the order of neighbouring pairs.</param>
    public readonly record struct Stored(string? Name, long Rows, long? Columns, bool Quantized, bool Rotated = false);

    /// <summary>All tensors in file order.</summary>
    public static IEnumerable<Stored> Of(Llama2cHeader h) => h.Version == 0 ? Legacy(h) : Versioned(h);

    static IEnumerable<Stored> Legacy(Llama2cHeader h) =>
    [
        new("model.embed_tokens.weight", h.VocabularySize, h.Dimension, false),
        .. Norms(h, "input_layernorm"),
        .. Attention(h),
        .. Norms(h, "post_attention_layernorm"),
        .. Mlp(h),
        new("model.norm.weight", h.Dimension, null, false),
        // Cosines and sines of every position, which follow from the header.
        new(null, h.SequenceLength, h.HeadSize, false),
        .. Head(h),
    ];

    static IEnumerable<Stored> Versioned(Llama2cHeader h) =>
    [
        .. Norms(h, "input_layernorm"),
        .. Norms(h, "post_attention_layernorm"),
        new("model.norm.weight", h.Dimension, null, false),
        new("model.embed_tokens.weight", h.VocabularySize, h.Dimension, h.Version == 2),
        .. Attention(h),
        .. Mlp(h),
        .. Head(h),
    ];

    static IEnumerable<Stored> Attention(Llama2cHeader h) =>
    [
        .. Weights(h, "self_attn.q_proj", h.Dimension, h.Dimension, rotated: true),
        .. Weights(h, "self_attn.k_proj", h.KeyValueDimension, h.Dimension, rotated: true),
        .. Weights(h, "self_attn.v_proj", h.KeyValueDimension, h.Dimension),
        .. Weights(h, "self_attn.o_proj", h.Dimension, h.Dimension),
    ];

    static IEnumerable<Stored> Mlp(Llama2cHeader h) =>
    [
        .. Weights(h, "mlp.gate_proj", h.HiddenDimension, h.Dimension),
        .. Weights(h, "mlp.down_proj", h.Dimension, h.HiddenDimension),
        .. Weights(h, "mlp.up_proj", h.HiddenDimension, h.Dimension),
    ];

    static IEnumerable<Stored> Head(Llama2cHeader h) =>
        h.Tied ? [] : [new("lm_head.weight", h.VocabularySize, h.Dimension, h.Version == 2)];

    static IEnumerable<Stored> Norms(Llama2cHeader h, string name) =>
        Enumerable.Range(0, h.Layers).Select(i => new Stored($"model.layers.{i}.{name}.weight", h.Dimension, null, false));

    static IEnumerable<Stored> Weights(Llama2cHeader h, string name, long rows, long columns, bool rotated = false) =>
        Enumerable.Range(0, h.Layers)
            .Select(i => new Stored($"model.layers.{i}.{name}.weight", rows, columns, h.Version == 2, rotated));
}
