using Compress.Core.Methods;
using Compress.Core.Statistics;
using Compress.Quant.Grids;
using static TorchSharp.torch;

namespace Compress.Quant.Methods;

/// <summary>Moves the peaks of inputs into the weights, so that both fit 8 bits.</summary>
/// <remarks>
/// Xiao et al. 2022, "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models", arXiv:2211.10438, section 4,
/// and the published code: <c>s_j = max|X_j|^α / max|W_j|^(1−α)</c> over the tokens and over the columns j of all weights that read channel j,
/// both at least 10⁻⁵, into the norms before q, k, v and before gate, up; the inputs of o and down stay as they are. Then weights are rounded
/// to the nearest code, symmetrically, a scale for each row. Inputs are not rounded here: the engine rounds them when it runs.
/// </remarks>
/// <param name="options">Settings.</param>
[Method("smoothquant", StageKind.Quantize,
    Summary = "Moves the peaks of inputs into the weights, so that both fit 8 bits.",
    Paper = "Xiao et al. 2022, arXiv:2211.10438")]
public sealed class SmoothQuant(SmoothQuant.Options options) : IScalingMethod
{
    private const double Least = 1e-5;

    /// <summary>Settings of <see cref="SmoothQuant"/>.</summary>
    public sealed record Options
    {
        /// <summary>Bits of a code.</summary>
        [Between(2, 8)]
        public int Bits { get; init; } = 8;

        /// <summary>Inputs that share a scale, the last group being short where it does not divide the width; −1 for the whole row.</summary>
        [Between(-1, 1_048_576)]
        public int GroupSize { get; init; } = -1;

        /// <summary>How scales are stored.</summary>
        public ScaleType ScaleType { get; init; } = ScaleType.F16;

        /// <summary>How much of the peaks moves: 0 none of the inputs', 1 all of them.</summary>
        [Between(0, 1)]
        public double Alpha { get; init; } = 0.5;

        /// <summary>Calibration windows over which peaks are taken.</summary>
        [Between(1, 1_000_000)]
        public int SearchWindows { get; init; } = 128;

        internal Rtn.Options Grid => new()
        {
            Bits = Bits,
            GroupSize = GroupSize,
            Symmetric = true,
            Flavour = AffineFlavour.Absmax,
            ScaleType = ScaleType,
        };
    }

    /// <inheritdoc/>
    public Needs Needs => Needs.Nothing;

    /// <inheritdoc/>
    public bool Calibrated => true;

    /// <inheritdoc/>
    public int SearchWindows => options.SearchWindows;

    /// <inheritdoc/>
    public int Trials => 0;

    /// <inheritdoc/>
    public string? Unfit(SiteShape site) => options.Grid.Unfit(site);

    /// <inheritdoc/>
    public SiteOutlook Outlook(SiteShape site) => options.Grid.Outlook(site);

    /// <inheritdoc/>
    public Tensor? Scales(ScaleView view, SiteLog log)
    {
        if (!view.BehindNorm) return null;
        using var scope = NewDisposeScope();
        var inputs = view.Peaks().clamp_min(Least);
        var weights = stack([.. view.Sites.Select(s => s.Weight.abs().amax([0]))]).amax([0]).clamp_min(Least);
        var scales = (inputs.pow(options.Alpha) / weights.pow(1 - options.Alpha)).clamp_min(Least);
        if (scales.isfinite().all().item<bool>()) return scales.MoveToOuterDisposeScope();
        log.Notes.Add("Not scaled: its inputs or weights are not finite.");
        return null;
    }

    /// <inheritdoc/>
    public LinearResult Apply(LinearView site, StatisticsSet statistics, SiteLog log) =>
        new Rtn(options.Grid).Apply(site, StatisticsSet.Empty, log);
}
