using System.Collections.Frozen;

namespace Compress.Formats.Gguf;

/// <summary>What a GGUF file's tensors are stored as: one type for most, more bits for those that matter more (ggml's file types).</summary>
/// <param name="Name">Name on the command line, e.g. <c>q4_k_m</c>.</param>
/// <param name="FileType">Value of <c>general.file_type</c>.</param>
/// <param name="Main">Type of most matrices.</param>
public sealed record GgufMixture(string Name, int FileType, GgmlType Main)
{
    private static readonly FrozenDictionary<string, GgufMixture> All = new GgufMixture[]
    {
        new("f32", 0, GgmlType.F32), new("f16", 1, GgmlType.F16), new("bf16", 32, GgmlType.BF16), new("q8_0", 7, GgmlType.Q8_0),
        new("q4_0", 2, GgmlType.Q4_0), new("q2_k", 10, GgmlType.Q2_K), new("q3_k_m", 12, GgmlType.Q3_K), new("q4_k_s", 14, GgmlType.Q4_K),
        new("q4_k_m", 15, GgmlType.Q4_K), new("q5_k_m", 17, GgmlType.Q5_K), new("q6_k", 18, GgmlType.Q6_K),
    }.ToFrozenDictionary(m => m.Name, StringComparer.OrdinalIgnoreCase);

    /// <summary>The mixture that is written where none is named.</summary>
    public const string Usual = "q4_k_m";

    /// <summary>Names of all mixtures.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. All.Keys.Order(StringComparer.Ordinal)];

    /// <summary>True where matrices are stored as floats.</summary>
    public bool IsFloat => Main is GgmlType.F32 or GgmlType.F16 or GgmlType.BF16;

    private bool Mixed => Name.EndsWith("_m", StringComparison.OrdinalIgnoreCase) || Main == GgmlType.Q2_K;

    private bool IsSmall => Main is GgmlType.Q4_0 or GgmlType.Q2_K or GgmlType.Q3_K or GgmlType.Q4_K or GgmlType.Q5_K or GgmlType.Q6_K;

    /// <summary>A mixture by name; null where there is none.</summary>
    public static GgufMixture? Find(string name) => All.GetValueOrDefault(name);

    /// <summary>The type of a tensor.</summary>
    /// <param name="name">GGUF name.</param>
    /// <param name="layer">Block, or −1.</param>
    /// <param name="layers">Blocks of the model.</param>
    /// <param name="columns">Columns; a type whose blocks do not divide them is replaced by the nearest larger one that does.</param>
    /// <param name="isHead">True for what gives the logits.</param>
    public GgmlType TypeOf(string name, int layer, int layers, long columns, bool isHead)
    {
        var type = isHead && IsSmall ? GgmlType.Q6_K : Mixed ? MixedType(name, layer, layers) : Main;
        return columns % type.BlockElements() == 0 ? type : Fallback(type, columns);
    }

    private GgmlType MixedType(string name, int layer, int layers)
    {
        var value = name.Contains("attn_v", StringComparison.Ordinal);
        var down = name.Contains("ffn_down", StringComparison.Ordinal);
        var output = name.Contains("attn_output", StringComparison.Ordinal);
        // The first and the last eighth of the blocks and every third between.
        var more = layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
        return Main switch
        {
            GgmlType.Q2_K when value || down || output => GgmlType.Q3_K,
            GgmlType.Q3_K when value => layer < 2 ? GgmlType.Q5_K : GgmlType.Q4_K,
            GgmlType.Q3_K when down => layer < layers / 16 ? GgmlType.Q5_K : more ? GgmlType.Q4_K : GgmlType.Q3_K,
            GgmlType.Q3_K when output => GgmlType.Q4_K,
            GgmlType.Q4_K or GgmlType.Q5_K when (value || down) && more => GgmlType.Q6_K,
            var main => main,
        };
    }

    private static GgmlType Fallback(GgmlType type, long columns)
    {
        var smaller = type switch
        {
            GgmlType.Q2_K or GgmlType.Q3_K => GgmlType.Q4_0,
            GgmlType.Q4_K => GgmlType.Q5_0,
            GgmlType.Q5_K => GgmlType.Q5_1,
            GgmlType.Q6_K => GgmlType.Q8_0,
            _ => GgmlType.F16,
        };
        return columns % smaller.BlockElements() == 0 ? smaller : GgmlType.F16;
    }
}
