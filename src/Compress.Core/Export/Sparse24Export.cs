using System.Text.Json.Nodes;
using Compress.Core.Graph;
using Compress.Core.Pipeline;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using Compress.Formats.Encodings.Positions;
using Compress.Formats.Encodings.Values;

namespace Compress.Core.Export;

/// <summary>A result in compressed-tensors' sparse-24-bitmask: which tensors are stored 2:4.</summary>
/// <param name="checkpoint">The compressed tensors.</param>
/// <param name="stages">The same as what the stages made of it; null where there was no stage.</param>
/// <param name="model">What it holds.</param>
/// <param name="target">The folder, for messages.</param>
internal sealed class Sparse24Export(ITensorSource checkpoint, StageCheckpoint? stages, ModelSpec model, string target)
{
    private readonly ILookup<string, SelectableSite> byTensor = SiteSelection.All(model).Where(s => s.Block is not null).ToLookup(s => s.Spec.Weight.Tensor);
    private readonly HashSet<string> sparse = new(StringComparer.Ordinal);
    private long elements, stored;

    /// <summary>A tensor's parts; null where it is stored as it is, because it is no linear of a block or not 2:4.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="declaring">True the first time.</param>
    /// <exception cref="ExportException">The tensor is quantized.</exception>
    public IReadOnlyList<PackedTensor>? Pack(TensorInfo tensor, bool declaring)
    {
        var here = byTensor[tensor.Name].ToList();
        if (here.Find(s => stages?.IsEncoded(s.Shape.Name) == true) is { } quantized)
            throw new ExportException(target, $"{quantized.Shape.Name} is quantized; sparse-24-bitmask stores floats.", "Use format: compress.");
        if (here is not [{ Spec: { Weight: { Transposed: false, Rows: null } } spec }]) return null;
        // The second time the answer is known.
        if (!declaring && !sparse.Contains(spec.Name)) return null;
        if (!ElementConversion.IsWritableFloat(tensor.Type) || tensor.ByteCount > Array.MaxLength) return null;
        var positions = new DensePositions(spec.OutFeatures, spec.InFeatures);
        var bytes = checkpoint.Open(tensor.Name).Bytes(0, (int)tensor.ByteCount).ToArray();
        if (Sparse24Format.Find(new LayeredWeight(positions, new FloatValues(tensor.Type, bytes))) is not { } weight) return null;
        if (declaring && sparse.Add(spec.Name)) (elements, stored) = (elements + positions.Count, stored + weight.Positions.Count);
        return Sparse24Format.Pack(spec.Name, weight);
    }

    /// <summary>The configuration, once all tensors were declared.</summary>
    /// <exception cref="ExportException">No weight is 2:4.</exception>
    public JsonObject Config()
    {
        if (sparse.Count == 0) throw new ExportException(target, "no weight has two zeros in every four columns.", "Prune with pattern: \"2:4\", or use format: hf.");
        var dense = SiteSelection.All(model).Where(s => s.Shape.Role != SiteRole.Embedding && !sparse.Contains(s.Spec.Name)).Select(s => s.Spec.Name);
        return CompressedTensorsConfig.OfSparse24(dense, 1 - ((double)stored / elements));
    }
}
