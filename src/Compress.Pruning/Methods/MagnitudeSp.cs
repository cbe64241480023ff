using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Pipeline;
using Compress.Core.Statistics;
using Compress.Pruning.Structured;
using TorchSharp;

namespace Compress.Pruning.Methods;

/// <summary>Removes the heads and channels whose columns of the output projection have the smallest norm, the same share in every module.</summary>
/// <remarks>The baseline "Mag-sp" of An et al. 2024, arXiv:2312.11983, section 4: <c>‖W_:,j‖₂</c> of <c>o_proj</c> and <c>down_proj</c>, summed over a head.</remarks>
/// <param name="options">Settings.</param>
[Method("magnitude_sp", StageKind.Prune,
    Summary = "Removes heads and channels whose output columns have the smallest norm, the same share in every layer.",
    Paper = "An et al. 2024, arXiv:2312.11983 (baseline)")]
public sealed class MagnitudeSp(MagnitudeSp.Options options) : IStructuredMethod
{
    /// <summary>Settings of <see cref="MagnitudeSp"/>.</summary>
    public sealed record Options : UniformOptions;

    /// <inheritdoc/>
    public Needs Needs => Needs.Nothing;

    /// <inheritdoc/>
    public bool Calibrated => options.Compensate != Compensation.None;

    /// <inheritdoc/>
    public Compensation Compensation => options.Compensate;

    /// <inheritdoc/>
    public IReadOnlyList<CoupledGroup> Choose(ModelStudy study) =>
        options.Choose(study, Needs, (block, role) => block.Weight(role).to(torch.ScalarType.Float64).square().sum(dim: 0).sqrt());
}
