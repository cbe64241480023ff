using Compress.Core.Methods;
using Compress.Core.Statistics;
using Compress.Quant.Grids;

namespace Compress.Quant.Methods;

/// <summary>Rounds every weight to the nearest code of its group.</summary>
/// <remarks>
/// The baseline of the papers on quantization; needs no data. For each row and group of <c>group_size</c> inputs a scale and zero
/// point are fitted (<see cref="AffineFlavour"/>), then <c>code = clamp(round(w/scale) + zero, 0, 2^bits − 1)</c>, half to even.
/// Weights that an earlier stage removed decode to exactly 0 where the recipe keeps sparsity.
/// </remarks>
/// <param name="options">Settings.</param>
[Method("rtn", StageKind.Quantize,
    Summary = "Rounds every weight to the nearest code of its group; needs no calibration data.",
    Paper = "The baseline in Frantar et al. 2022, arXiv:2210.17323")]
public sealed class Rtn(Rtn.Options options) : ILinearMethod
{
    /// <summary>Settings of <see cref="Rtn"/>.</summary>
    public sealed record Options : AffineOptions
    {
        /// <summary>True: one scale and zero point for the whole matrix. Needs <c>group_size: -1</c>.</summary>
        public bool PerTensor { get; init; }
    }

    /// <inheritdoc/>
    public Needs Needs => Needs.Nothing;

    /// <inheritdoc/>
    public string? Unfit(SiteShape site) => options.PerTensor && options.GroupSize != -1
        ? "per_tensor shares one scale among all weights: set group_size: -1."
        : options.Unfit(site);

    /// <inheritdoc/>
    public SiteOutlook Outlook(SiteShape site) => options.Outlook(site);

    /// <inheritdoc/>
    public LinearResult Apply(LinearView site, StatisticsSet statistics, SiteLog log)
    {
        using var codes = new AffineCodes(options, site);
        var grid = new AffineGrid(options);
        int[] order = [.. Enumerable.Range(0, codes.Columns)];
        var shared = options.PerTensor ? MatrixFit.Of(grid, options.Mse, codes, order) : ((float Scale, float Zero)?)null;
        log.Loss = codes.Quantize(grid, order, tile => Round(tile, codes, order, shared));
        return codes.Finish(null, log);
    }

    private static unsafe double Round(AffineTile tile, AffineCodes codes, int[] order, (float Scale, float Zero)? shared)
    {
        var loss = 0.0;
        for (var panel = 0; panel < tile.Rows.UsedPanels; panel++)
        {
            for (var group = 0; group < codes.Groups; group++)
            {
                var first = group * codes.GroupColumns;
                var last = Math.Min(first + codes.GroupColumns, order.Length);
                if (shared is { } s) tile.Set(panel, group, s.Scale, s.Zero);
                else tile.Fit(panel, group, order.AsSpan(first, last - first));
                for (var step = first; step < last; step++) loss += tile.Quantize(panel, step, group);
            }
        }
        return loss;
    }
}
