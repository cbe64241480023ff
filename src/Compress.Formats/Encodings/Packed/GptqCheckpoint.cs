using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Encodings.Packed;

/// <summary>
/// A checkpoint of AutoGPTQ and GPTQModel, see <see cref="GptqFormat"/>. Modules that stay dense are named by negative patterns of
/// GPTQModel's <c>dynamic</c>, which vLLM reads too.
/// </summary>
/// <param name="version">1, or 2 with zero points as they are.</param>
public sealed class GptqCheckpoint(int version) : PackedFormat
{
    /// <inheritdoc/>
    public override string Name => "gptq";

    /// <inheritdoc/>
    public override string Type => version == 1 ? "gptq" : "gptq_v2";

    /// <inheritdoc/>
    public override string? Unfit(int rows, int columns, QuantizationScheme scheme) =>
        GptqFormat.Unfit(rows, columns, scheme.Bits) ?? UnfitGrid("GPTQ", scheme);

    /// <inheritdoc/>
    public override IReadOnlyList<TensorInfo> Describe(string name, int rows, int columns, QuantizationScheme scheme) =>
        GptqFormat.Describe(name, rows, columns, scheme);

    /// <inheritdoc/>
    public override IReadOnlyList<PackedTensor> Pack(string name, GroupQuantizedWeight weight) => GptqFormat.Pack(name, weight, version);

    /// <inheritdoc/>
    public override JsonObject Config(IReadOnlyList<PackedModule> modules)
    {
        var (bits, size) = Common(modules, out _);
        var schemes = modules.Where(m => m.Scheme is not null).Select(m => m.Scheme!).ToList();
        var json = new JsonObject
        {
            ["quant_method"] = "gptq",
            ["checkpoint_format"] = Type,
            ["bits"] = bits,
            ["group_size"] = size,
            ["desc_act"] = schemes.Exists(s => s.ActivationOrder),
            ["sym"] = schemes.TrueForAll(s => s.Symmetric),
            ["lm_head"] = modules.Any(m => m is { Name: "lm_head", Scheme: not null }),
        };
        var dense = modules.Where(m => m is { Scheme: null, Name: not "lm_head" }).Select(m => m.Name).Order(StringComparer.Ordinal).ToList();
        if (dense.Count > 0)
            json["dynamic"] = new JsonObject(dense.Select(n => KeyValuePair.Create<string, JsonNode?>($"-:^{Regex.Escape(n)}$", new JsonObject())));
        return json;
    }

    /// <inheritdoc/>
    protected override string? Contradiction(IReadOnlyList<PackedModule> modules)
    {
        Common(modules, out var problem);
        return problem;
    }
}
