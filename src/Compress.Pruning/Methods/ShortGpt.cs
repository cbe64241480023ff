using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Pipeline;
using Compress.Core.Statistics;
using Compress.Formats.Architectures;
using Compress.Pruning.Structured;

namespace Compress.Pruning.Methods;

/// <summary>Removes the blocks, or the sublayers, that turn the residual stream least.</summary>
/// <remarks>
/// Men et al. 2024, "ShortGPT: Layers in Large Language Models are More Redundant Than You Expect", arXiv:2403.03853, section 3: block influence
/// <c>1 − E[cos(x, f(x))]</c> over tokens, from the states before the final norm, all at once on the original model. With <c>unit: attention</c>
/// or <c>mlp</c> the same over one sublayer and its residual: He et al. 2024, "What Matters in Transformers? Not All Attention is Needed",
/// arXiv:2406.15786.
/// </remarks>
/// <param name="options">Settings.</param>
[Method("shortgpt", StageKind.Prune,
    Summary = "Removes the blocks or sublayers that change the residual stream's direction least.",
    Paper = "Men et al. 2024, arXiv:2403.03853")]
public sealed class ShortGpt(ShortGpt.Options options) : IStructuredMethod
{
    /// <summary>Settings of <see cref="ShortGpt"/>.</summary>
    public sealed record Options : DepthOptions;

    /// <inheritdoc/>
    public Needs Needs => Needs.Nothing;

    /// <inheritdoc/>
    public bool Calibrated => true;

    /// <inheritdoc/>
    public string? Unfit(ModelSpec model) => options.Unfit(model);

    /// <inheritdoc/>
    public IReadOnlyList<CoupledGroup> Choose(ModelStudy study)
    {
        var influences = study.Influences(options.Kind);
        return [.. study.Candidates(options.Kind).OrderBy(g => influences[g.Block]).Take(options.Remove).OrderBy(g => g.Block)];
    }
}
