using Compress.Core.Pipeline;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using Compress.Formats.Encodings.Positions;
using Compress.Formats.Encodings.Values;

namespace Compress.Core.Export;

/// <summary>A result in Compress's own format: which tensors are stored encoded, and how.</summary>
/// <param name="checkpoint">The compressed tensors.</param>
/// <param name="stages">The same as what the stages made of it; null where there was no stage.</param>
/// <param name="model">What it holds.</param>
/// <param name="sites">The sites that may be encoded; where empty, every linear of the decoder blocks.</param>
/// <param name="sparse">How zeros are stored.</param>
/// <param name="target">The folder, for messages.</param>
internal sealed class EncodedExport(
    ITensorSource checkpoint, StageCheckpoint? stages, ModelSpec model, IReadOnlyList<SelectableSite> sites, SparseStorage sparse, string target)
{
    private readonly ILookup<string, SelectableSite> byTensor =
        (sites.Count > 0 ? sites : SiteSelection.All(model).Where(s => s.Block is not null)).ToLookup(s => s.Spec.Weight.Tensor);

    /// <summary>A tensor's weight as it is to be stored; null where the tensor is stored as it is.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <exception cref="ExportException">The tensor has no place in the format.</exception>
    public EncodedWeight? Encode(TensorInfo tensor)
    {
        var here = byTensor[tensor.Name].ToList();
        if (here.Find(s => stages?.IsEncoded(s.Shape.Name) == true) is { } quantized)
        {
            return quantized.Spec.Weight is { Transposed: false, Rows: null }
                ? SparseChoice.Apply(stages!.ReadEncoded(quantized.Shape.Name)!, sparse)
                : throw new ExportException(
                    target, $"{quantized.Shape.Name} is quantized and stored transposed or fused with others, which the format does not hold yet.",
                    "Use format: hf.");
        }
        if (here.Count == 0 || tensor.Shape.Length != 2 || tensor.ByteCount > Array.MaxLength || !ElementConversion.IsWritableFloat(tensor.Type)) return null;
        var positions = new DensePositions((int)tensor.Shape[0], (int)tensor.Shape[1]);
        var bytes = checkpoint.Open(tensor.Name).Bytes(0, (int)tensor.ByteCount).ToArray();
        var weight = (LayeredWeight)SparseChoice.Apply(new LayeredWeight(positions, new FloatValues(tensor.Type, bytes)), sparse);
        return weight.Positions is DensePositions ? null : weight;
    }
}
