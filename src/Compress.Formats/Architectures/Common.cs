using System.Text.Json;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Architectures;

/// <summary>What several families read alike.</summary>
internal static class Common
{
    /// <summary>An unfused linear whose weight and bias are stored as <c>name.weight</c> and <c>name.bias</c>.</summary>
    public static LinearSpec Linear(string name, int inFeatures, int outFeatures, bool bias = false) => new(
        name, new WeightPart(name + ".weight"), bias ? new WeightPart(name + ".bias") : null, inFeatures, outFeatures);

    /// <summary>A part of a fused tensor stored as <c>name.weight</c> and <c>name.bias</c>; its site is <c>name.part</c>.</summary>
    public static LinearSpec FusedPart(
        string name, string part, RowPattern rows, int inFeatures, bool bias, bool transposed = false) => new(
        $"{name}.{part}",
        new WeightPart(name + ".weight", transposed, rows),
        bias ? new WeightPart(name + ".bias", Rows: rows) : null,
        inFeatures,
        rows.Count);

    /// <summary>Consecutive rows.</summary>
    public static RowPattern Rows(int start, int count) => new(start, count, count, count);

    /// <summary>RMS norm stored as <c>name.weight</c>.</summary>
    public static NormSpec RmsNorm(string name, double epsilon, double offset = 0) =>
        new(NormKind.Rms, name + ".weight", null, epsilon, offset);

    /// <summary>Layer norm stored as <c>name.weight</c> and <c>name.bias</c>.</summary>
    public static NormSpec LayerNorm(string name, double epsilon) => new(NormKind.Layer, name + ".weight", name + ".bias", epsilon);

    /// <summary>Size of a head: <c>head_dim</c> where given, else hidden size over heads.</summary>
    public static int HeadSize(ConfigReader config, int hidden, int heads, int? fallback = null)
    {
        if ((config.OptionalCount("head_dim") ?? fallback) is { } given) return given;
        return hidden % heads == 0
            ? hidden / heads
            : throw config.Wrong("hidden_size", FormattableString.Invariant($"({hidden}) is not a multiple of the {heads} heads"));
    }

    /// <summary>The activation function under a key.</summary>
    public static Activation Activation(ConfigReader config, string key, string? fallback)
    {
        var name = config.Text(key) ?? fallback ?? throw config.Wrong(key, "is missing");
        return name switch
        {
            "silu" or "swish" => Architectures.Activation.Silu,
            "gelu" => Architectures.Activation.Gelu,
            "gelu_new" or "gelu_pytorch_tanh" or "gelu_fast" or "gelu_accurate" => Architectures.Activation.GeluTanh,
            "relu" => Architectures.Activation.Relu,
            _ => throw config.Wrong(key, $"is \"{name}\", which is not supported",
                "Supported: silu, swish, gelu, gelu_new, gelu_fast, gelu_accurate, gelu_pytorch_tanh, relu."),
        };
    }

    /// <summary>Head that shares the token table where <c>tie_word_embeddings</c> says so, else <c>lm_head</c>.</summary>
    public static HeadSpec Head(ConfigReader config, string tokens, int hidden, int vocabulary, bool tiedByDefault, bool bias = false,
        string name = "lm_head", double? softCap = null)
    {
        var tied = config.Flag("tie_word_embeddings", tiedByDefault);
        var linear = Linear(name, hidden, vocabulary, bias);
        return new HeadSpec(tied ? linear with { Weight = new WeightPart(tokens) } : linear, tied, softCap);
    }

    /// <summary>Whether each layer is windowed, by <c>layer_types</c> where given, else by the family's rule.</summary>
    public static Func<int, bool> Windowed(ConfigReader config, Func<int, bool> rule)
    {
        if (config.List("layer_types") is not { } types) return rule;
        var windowed = types.Select(t => t.ValueKind == JsonValueKind.String ? t.GetString() switch
        {
            "sliding_attention" => true,
            "full_attention" => false,
            _ => (bool?)null,
        } : null).ToArray();
        if (Array.IndexOf(windowed, null) is var at and >= 0)
        {
            throw config.Wrong("layer_types", $"holds {ConfigReader.Show(types[at])}; expected full_attention or sliding_attention");
        }
        return layer => layer < windowed.Length
            ? windowed[layer]!.Value
            : throw config.Wrong("layer_types", FormattableString.Invariant($"has {windowed.Length} entries; layer {layer} is asked for"));
    }

    /// <summary>The element type that the configuration declares.</summary>
    public static ElementType? DeclaredType(ConfigReader config)
    {
        var name = config.Text("dtype") ?? config.Text("torch_dtype");
        return name?.Replace("torch.", "", StringComparison.Ordinal) switch
        {
            "float32" or "float" => ElementType.F32,
            "float16" or "half" => ElementType.F16,
            "bfloat16" => ElementType.BF16,
            "float64" or "double" => ElementType.F64,
            _ => null,
        };
    }
}
