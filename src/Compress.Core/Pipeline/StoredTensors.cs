using Compress.Formats.Architectures;

namespace Compress.Core.Pipeline;

/// <summary>Which stored tensors a part of a model is made of.</summary>
internal static class StoredTensors
{
    /// <summary>The tensors of a block, fused ones once.</summary>
    public static IEnumerable<string> Of(BlockSpec block)
    {
        var linears = SiteSelection.Linears(block).SelectMany(l => new[] { l.Spec.Weight, l.Spec.Bias }).OfType<WeightPart>();
        NormSpec?[] norms =
        [
            block.AttentionNorm, block.AttentionOutputNorm, block.MlpNorm, block.MlpOutputNorm,
            block.Attention?.QueryNorm, block.Attention?.KeyNorm,
        ];
        return linears.Select(p => p.Tensor).Concat(norms.OfType<NormSpec>().SelectMany(n => new[] { n.Weight, n.Bias }).OfType<string>()).Distinct();
    }
}
