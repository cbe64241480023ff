using System.Text.Json.Nodes;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Encodings.Packed;

/// <summary>The pack-quantized layout of compressed-tensors, see <see cref="CompressedTensors"/>.</summary>
public sealed class PackQuantized : PackedFormat
{
    /// <inheritdoc/>
    public override string Name => "compressed-tensors";

    /// <inheritdoc/>
    public override string Type => CompressedTensorsConfig.PackQuantized;

    /// <inheritdoc/>
    public override bool HalfScales => false;

    /// <inheritdoc/>
    public override string? Unfit(int rows, int columns, QuantizationScheme scheme) => CompressedTensors.Unfit(columns, scheme);

    /// <inheritdoc/>
    public override IReadOnlyList<TensorInfo> Describe(string name, int rows, int columns, QuantizationScheme scheme) =>
        CompressedTensors.Describe(name, rows, columns, scheme);

    /// <inheritdoc/>
    public override IReadOnlyList<PackedTensor> Pack(string name, GroupQuantizedWeight weight) => CompressedTensors.Pack(name, weight);

    /// <inheritdoc/>
    public override JsonObject Config(IReadOnlyList<PackedModule> modules) =>
        CompressedTensorsConfig.For(modules.ToDictionary(m => m.Name, m => m.Scheme, StringComparer.Ordinal)).ToJson();
}
