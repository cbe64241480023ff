using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Pipeline;
using Compress.Core.Statistics;
using Compress.Formats.Architectures;
using Compress.Pruning.Structured;

namespace Compress.Pruning.Methods;

/// <summary>Removes blocks one after the other, each time the one without which calibration text is likeliest.</summary>
/// <remarks>
/// Song et al. 2024, "SLEB: Streamlining LLMs through Redundancy Verification and Elimination of Transformer Blocks", arXiv:2402.09025,
/// algorithm 1. All candidates of a step are scored on the same windows. A step takes a pass over the model for each candidate.
/// </remarks>
/// <param name="options">Settings.</param>
[Method("sleb", StageKind.Prune,
    Summary = "Removes blocks or sublayers one by one, each time the one whose absence costs least perplexity.",
    Paper = "Song et al. 2024, arXiv:2402.09025")]
public sealed class Sleb(Sleb.Options options) : IStructuredMethod
{
    /// <summary>Settings of <see cref="Sleb"/>.</summary>
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
        var removed = new HashSet<CoupledGroup>();
        var candidates = study.Candidates(options.Kind).ToList();
        for (var step = 1; step <= options.Remove && candidates.Count > 0; step++)
        {
            var best = candidates.MinBy(candidate =>
            {
                var loss = study.Loss(new HashSet<CoupledGroup>(removed) { candidate });
                study.Report(FormattableString.Invariant($"step {step} of {options.Remove}: {loss:F4} nats without {study.Model.Blocks[candidate.Block].Prefix}"));
                return double.IsNaN(loss) ? double.PositiveInfinity : loss;
            });
            removed.Add(best);
            candidates.Remove(best);
        }
        return [.. removed.OrderBy(g => g.Block)];
    }
}
