using System.Globalization;
using System.Text.Json.Nodes;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Encodings.Packed;

/// <summary>A checkpoint of AutoAWQ in its GEMM layout, see <see cref="AwqFormat"/>. Symmetric weights get their zero point 8 stored.</summary>
public sealed class AwqCheckpoint : PackedFormat
{
    /// <inheritdoc/>
    public override string Name => "awq";

    /// <inheritdoc/>
    public override string Type => "gemm";

    /// <inheritdoc/>
    public override string? Unfit(int rows, int columns, QuantizationScheme scheme) =>
        AwqFormat.Unfit(rows, columns, scheme) ?? UnfitGrid("AWQ", scheme);

    /// <inheritdoc/>
    public override IReadOnlyList<TensorInfo> Describe(string name, int rows, int columns, QuantizationScheme scheme) =>
        AwqFormat.Describe(name, rows, columns, scheme);

    /// <inheritdoc/>
    public override IReadOnlyList<PackedTensor> Pack(string name, GroupQuantizedWeight weight) => AwqFormat.Pack(name, weight);

    /// <inheritdoc/>
    public override JsonObject Config(IReadOnlyList<PackedModule> modules)
    {
        var (bits, size) = Common(modules, out _);
        var json = new JsonObject
        {
            ["quant_method"] = "awq",
            ["version"] = Type,
            ["bits"] = bits,
            ["group_size"] = size,
            ["zero_point"] = true,
        };
        var dense = modules.Where(m => m.Scheme is null).Select(m => m.Name).Order(StringComparer.Ordinal).ToList();
        if (dense.Count > 0) json["modules_to_not_convert"] = new JsonArray([.. dense.Select(n => (JsonNode)n)]);
        return json;
    }

    /// <inheritdoc/>
    protected override string? Contradiction(IReadOnlyList<PackedModule> modules)
    {
        Common(modules, out var problem);
        if (problem is not null) return problem;
        // AutoAWQ and vLLM look for a module's name anywhere in those that stay dense and the other way round.
        var caught = modules.Where(m => m.Scheme is not null && modules.Any(d => d.Scheme is null && m.Name.Contains(d.Name, StringComparison.Ordinal)))
            .Select(m => m.Name).ToList();
        return caught.Count == 0 ? null : string.Create(CultureInfo.InvariantCulture, $"{Names(caught)}: a module that stays dense has a name that is a part of it.");
    }
}
