using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Pipeline;
using Compress.Core.Statistics;
using Compress.Pruning.Structured;
using TorchSharp;

namespace Compress.Pruning.Methods;

/// <summary>Removes the heads and channels with the smallest <c>Σ_i |W_ij|·‖X_j‖</c>, the same share in every module.</summary>
/// <remarks>
/// The structured form of Wanda that An et al. 2024, arXiv:2312.11983, compare with (their section 4 and code). Scores of inputs j of
/// <c>o_proj</c> and <c>down_proj</c>, summed over a head's inputs; blocks in order, each seeing what the smaller blocks before it leave. As in
/// the code nothing is compensated unless asked for.
/// </remarks>
/// <param name="options">Settings.</param>
[Method("wanda_sp", StageKind.Prune,
    Summary = "Removes heads and channels with the smallest magnitude times input norm, the same share in every layer.",
    Paper = "An et al. 2024, arXiv:2312.11983 (baseline)")]
public sealed class WandaSp(WandaSp.Options options) : IStructuredMethod
{
    /// <summary>Settings of <see cref="WandaSp"/>.</summary>
    public sealed record Options : UniformOptions;

    /// <inheritdoc/>
    public Needs Needs => Needs.Of<ColumnNorms>();

    /// <inheritdoc/>
    public Compensation Compensation => options.Compensate;

    /// <inheritdoc/>
    public IReadOnlyList<CoupledGroup> Choose(ModelStudy study) => options.Choose(study, Needs, (block, role) =>
    {
        using var scalerRow = block.Input<ColumnNorms>(role).ScalerRow();
        return block.Weight(role).abs().sum(dim: 0).to(torch.ScalarType.Float64) * scalerRow.cpu().sqrt();
    });
}
