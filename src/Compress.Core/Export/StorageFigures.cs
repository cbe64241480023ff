using Compress.Core.Graph;
using Compress.Core.Pipeline;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using TorchSharp;

namespace Compress.Core.Export;

/// <summary>How large a checkpoint is.</summary>
/// <param name="Bytes">Bytes on disk of its weight files.</param>
/// <param name="BitsPerWeight">Stored bits of the compressed linears' weights, scales, zero points and indices included, over their elements.</param>
/// <param name="ModelBitsPerWeight">Bits of all tensors over the elements of the original's tensors.</param>
/// <param name="Zeros">Share of the compressed linears' elements that are exactly zero.</param>
public sealed record StorageFigures(long Bytes, double BitsPerWeight, double ModelBitsPerWeight, double Zeros)
{
    /// <summary>Measures a checkpoint.</summary>
    /// <param name="bytes">Bytes on disk of its weight files.</param>
    /// <param name="stored">Headers of the tensors as they are stored.</param>
    /// <param name="dense">The same checkpoint as dense tensors under the architecture's names.</param>
    /// <param name="model">What it holds.</param>
    /// <param name="sites">The sites that count; where empty, every linear of the decoder blocks.</param>
    public static StorageFigures Measure(
        long bytes, IReadOnlyDictionary<string, TensorInfo> stored, ITensorSource dense, ModelSpec model, IReadOnlyList<SelectableSite> sites)
    {
        if (sites.Count == 0) sites = [.. SiteSelection.All(model).Where(s => s.Block is not null)];
        var weights = sites.Select(s => s.Spec.Weight.Tensor).Distinct().ToList();
        var elements = weights.Sum(name => dense.Tensors[name].ElementCount);
        var bits = 8.0 * weights.Sum(name => StoredBytes(name, stored, dense));
        var zeros = weights.Sum(name => CountZeros(name, dense));
        var all = dense.Tensors.Values.Sum(t => t.ElementCount);
        return new StorageFigures(bytes, bits / elements, 8.0 * stored.Values.Sum(t => t.ByteCount) / all, (double)zeros / elements);
    }

    /// <summary>Bytes of a weight: the tensor itself, or all that stands for it.</summary>
    private static long StoredBytes(string name, IReadOnlyDictionary<string, TensorInfo> stored, ITensorSource dense) =>
        dense is DecodingTensorSource decoding ? decoding.StoredBytes(name) : stored[name].ByteCount;

    private static long CountZeros(string name, ITensorSource source)
    {
        using var scope = torch.NewDisposeScope();
        var tensor = TensorBridge.Load(source.Open(name));
        source.Release(name);
        return tensor.numel() - tensor.count_nonzero().item<long>();
    }
}
