using System.Globalization;
using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Statistics;
using Compress.Quant.Grids;
using static TorchSharp.torch;

namespace Compress.Quant.Methods;

/// <summary>Scales up the columns that large inputs meet before it rounds, and clips what is not worth its range.</summary>
/// <remarks>
/// <para>Lin et al. 2023, "AWQ: Activation-aware Weight Quantization for LLM Compression and Acceleration", arXiv:2306.00978, section 3, and
/// the published code. For the sites that read the same channels, with <c>x̄</c> the mean |x| of each: for α = 0, 1/n, … (n−1)/n the scale
/// <c>s = max(x̄^α, 10⁻⁴)</c>, divided by <c>√(max s · min s)</c>, is tried with <c>W' = Q(W·s)/s</c>; the α with the least squared change of
/// the output wins (attention's for q, k, v; the MLP's for gate, up; the site's own for o, down). s goes into the columns, 1/s into the norm
/// or the rows of v or up.</para>
/// <para>Then each group of a row, but for q and k, is clipped to <c>(1 − i/20)·max |w|</c>, i = 0 … 9, with the least squared change of its part
/// of the dot products, <c>Δ_g H_gg Δ_gᵀ</c>; then rounded. Q has no clipping.</para>
/// <para>Differences: v → o is scaled with grouped heads too, a scale for each channel of a KV head that its query heads share (published code
/// leaves it out); clipping looks at all tokens, not at 512; each block sees the inputs that the quantized blocks before it leave, as with
/// every method here, not the original's.</para>
/// </remarks>
/// <param name="options">Settings.</param>
[Method("awq", StageKind.Quantize,
    Summary = "Scales up the columns that large inputs meet before it rounds, and clips what is not worth its range.",
    Paper = "Lin et al. 2023, arXiv:2306.00978")]
public sealed class Awq(Awq.Options options) : IScalingMethod
{
    private const float LeastScale = 1e-4f;
    private const int ClipSteps = 10, ClipParts = 20;

    /// <summary>Settings of <see cref="Awq"/>.</summary>
    public sealed record Options
    {
        /// <summary>Bits of a code.</summary>
        [Between(2, 8)]
        public int Bits { get; init; } = 4;

        /// <summary>Inputs that share a scale, the last group being short where it does not divide the width; −1 for the whole row.</summary>
        [Between(-1, 1_048_576)]
        public int GroupSize { get; init; } = 128;

        /// <summary>True: the zero point is the middle code and the flavour <c>absmax</c>. False: it is fitted, in the flavour <c>awq</c>.</summary>
        public bool Symmetric { get; init; }

        /// <summary>How scales are stored.</summary>
        public ScaleType ScaleType { get; init; } = ScaleType.F16;

        /// <summary>Exponents α that are tried; 1 tries 0 alone and scales nothing.</summary>
        [Between(1, 1000)]
        public int GridPoints { get; init; } = 20;

        /// <summary>Whether groups are clipped.</summary>
        public bool Clip { get; init; } = true;

        /// <summary>Calibration windows on which the exponents are tried.</summary>
        [Between(1, 1_000_000)]
        public int SearchWindows { get; init; } = 16;

        internal Rtn.Options Grid => new()
        {
            Bits = Bits,
            GroupSize = GroupSize,
            Symmetric = Symmetric,
            Flavour = Symmetric ? AffineFlavour.Absmax : AffineFlavour.Awq,
            ScaleType = ScaleType,
        };
    }

    /// <inheritdoc/>
    public Needs Needs => options.Clip ? Needs.Of<Hessian>() : Needs.Nothing;

    /// <inheritdoc/>
    public bool Calibrated => true;

    /// <inheritdoc/>
    public int SearchWindows => options.SearchWindows;

    /// <inheritdoc/>
    public int Trials => options.GridPoints;

    /// <inheritdoc/>
    public string? Unfit(SiteShape site) => options.Grid.Unfit(site);

    /// <inheritdoc/>
    public SiteOutlook Outlook(SiteShape site) => options.Grid.Outlook(site);

    /// <inheritdoc/>
    public Tensor? Scales(ScaleView view, SiteLog log)
    {
        using var scope = NewDisposeScope();
        var (best, least, exponent) = ((Tensor?)null, double.PositiveInfinity, 0.0);
        var magnitudes = view.Magnitudes();
        for (var i = 0; i < options.GridPoints; i++)
        {
            using var inner = NewDisposeScope();
            var scales = magnitudes.pow((double)i / options.GridPoints).clamp_min(LeastScale);
            scales /= (scales.max() * scales.min()).sqrt();
            var columns = view.Spread(scales);
            List<Tensor> weights = [.. view.Sites.Select(site => Rounded(site, site.Weight * columns) / columns)];
            var error = view.Error(weights);
            if (!(error < least)) continue;
            (least, exponent) = (error, (double)i / options.GridPoints);
            best = scales.MoveToOuterDisposeScope();
        }
        if (best is null) log.Notes.Add("Not scaled: its inputs are not finite.");
        if (exponent == 0) return null;
        log.Notes.Add(string.Create(CultureInfo.InvariantCulture, $"Scaled by mean |x| to the power of {exponent:0.###}."));
        return best?.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public LinearResult Apply(LinearView site, StatisticsSet statistics, SiteLog log)
    {
        using var scope = NewDisposeScope();
        // Published code spares q and k, whose errors attention's products multiply.
        var clips = options.Clip && site.Role is not (SiteRole.Query or SiteRole.Key) && site.Weight.isfinite().all().item<bool>();
        var weight = clips ? Clipped(site, statistics.Get<Hessian>()) : site.Weight;
        var result = new Rtn(options.Grid).Apply(site with { Weight = weight }, StatisticsSet.Empty, log);
        return result with { Weight = result.Weight.MoveToOuterDisposeScope() };
    }

    private Tensor Rounded(LinearView site, Tensor weight)
    {
        var result = new Rtn(options.Grid).Apply(site with { Weight = weight.contiguous() }, StatisticsSet.Empty, new SiteLog());
        return result.Weight;
    }

    private Tensor Clipped(LinearView site, Hessian hessian)
    {
        var (rows, columns) = (site.Weight.shape[0], (int)site.Weight.shape[1]);
        var size = Math.Min(columns, options.Grid.GroupColumns(columns));
        var groups = (columns + size - 1) / size;
        using var h = hessian.ToMatrix().to(site.Weight.device);
        using var bounds = zeros([rows, groups], site.Weight.dtype, site.Weight.device);
        using var least = full([rows, groups], float.PositiveInfinity, site.Weight.dtype, site.Weight.device);
        for (var step = 0; step < ClipSteps; step++)
        {
            using var scope = NewDisposeScope();
            var share = 1 - (double)step / ClipParts;
            var tried = full_like(bounds, 0);
            ForEachGroup((g, first, count) => tried.select(1, g).copy_(site.Weight.narrow(1, first, count).abs().amax([1]) * share));
            var change = Rounded(site, Within(tried)) - site.Weight;
            var error = empty_like(least);
            ForEachGroup((g, first, count) =>
            {
                var part = change.narrow(1, first, count);
                error.select(1, g).copy_((part.mm(h.narrow(0, first, count).narrow(1, first, count)) * part).sum([1]));
            });
            var better = step == 0 ? ones_like(error, ScalarType.Bool) : error.lt(least);
            bounds.copy_(where(better, tried, bounds));
            least.copy_(where(better, error, least));
        }
        return Within(bounds);

        Tensor Within(Tensor limits)
        {
            using var scope = NewDisposeScope();
            var wide = limits.repeat_interleave(size, 1).narrow(1, 0, columns);
            return minimum(maximum(site.Weight, -wide), wide).MoveToOuterDisposeScope();
        }

        void ForEachGroup(Action<int, int, int> action)
        {
            for (var g = 0; g < groups; g++)
            {
                using var scope = NewDisposeScope();
                action(g, g * size, Math.Min(size, columns - g * size));
            }
        }
    }
}
