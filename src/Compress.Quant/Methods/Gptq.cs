using System.Globalization;
using Compress.Core.Methods;
using Compress.Core.Numerics;
using Compress.Core.Statistics;
using Compress.Quant.Grids;

namespace Compress.Quant.Methods;

/// <summary>Rounds weights column after column and lets later columns make good the error of earlier ones.</summary>
/// <remarks>
/// <para>Frantar et al. 2022, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", arXiv:2210.17323,
/// section 3 and the published code. <c>W [out, in]</c>; <c>H = 2/n Σ XᵀX</c> with damping; for each column j in order:
/// <c>w̃_j = w_j + Σ_{k&lt;j} (w_k − q_k) F[k][j]</c>, <c>q_j = round(w̃_j)</c>, where <c>H = (I+F) diag(d)² (I+F)ᵀ</c>
/// (<see cref="FeedbackFactor"/> shows that this is the published update). The loss reported is the published <c>½ Σ d_j² (w̃_j − q_j)²</c>.</para>
/// <para>Groups are fitted as published: when its first column is reached, a group's scale and zero point are fitted to its weights as
/// updated by all earlier blocks of <c>block_size</c> columns. (Blocks as small as the groups, so that each fit sees every update, are no
/// gain: on a 936 000-parameter Llama with groups of 32 the layers' error fell by 1 % at 3 bits and rose by 4 % at 2.) Inputs that were
/// always zero get zero weights.</para>
/// <para>Rows do not influence one another: each worker takes 128 of them through all columns (<see cref="RowTile"/>).</para>
/// </remarks>
/// <param name="options">Settings.</param>
[Method("gptq", StageKind.Quantize,
    Summary = "Rounds weights column after column and lets later columns make good the error of earlier ones.",
    Paper = "Frantar et al. 2022, arXiv:2210.17323")]
public sealed class Gptq(Gptq.Options options) : ILinearMethod
{
    /// <summary>Settings of <see cref="Gptq"/>.</summary>
    public sealed record Options : AffineOptions
    {
        /// <summary>True: inputs with the largest second moment first. Better, most of all at 3 bits and fewer.</summary>
        public bool ActivationOrder { get; init; }

        /// <summary>
        /// True: groups are consecutive columns, fitted to the original weights, whatever the order. False: groups follow the order, so
        /// that with <see cref="ActivationOrder"/> each column's group has to be stored.
        /// </summary>
        public bool StaticGroups { get; init; }

        /// <summary>
        /// True: a block's sites in the order (q, k, v), o, (gate, up), down, each seeing the inputs that the sites before it leave.
        /// </summary>
        public bool TrueSequential { get; init; }

        /// <summary>
        /// Shrinks each range as <c>mse</c> does, but to the one with the least <c>Σ_j H_jj (w_j − w'_j)²</c>: an error counts by its input's
        /// second moment. (By the d_j² of the loss, what later columns cannot make good, it is no better.)
        /// </summary>
        public bool Importance { get; init; }

        /// <summary>Share of the mean of H's diagonal that is added to the diagonal.</summary>
        [Between(0, 1)]
        public double Damping { get; init; } = 0.01;

        /// <summary>Columns after which groups see the updates so far; nothing else depends on it.</summary>
        [Between(1, 1_048_576)]
        public int BlockSize { get; init; } = 128;
    }

    /// <inheritdoc/>
    public Needs Needs => Needs.Of<Hessian>();

    /// <inheritdoc/>
    public bool TrueSequential => options.TrueSequential;

    /// <inheritdoc/>
    public string? Unfit(SiteShape site) => options.Unfit(site);

    /// <inheritdoc/>
    public SiteOutlook Outlook(SiteShape site) =>
        options.Outlook(site, permuted: options is { ActivationOrder: true, StaticGroups: false });

    /// <inheritdoc/>
    public LinearResult Apply(LinearView site, StatisticsSet statistics, SiteLog log)
    {
        var factor = statistics.Get<Hessian>().Factor(options.ActivationOrder, new DampingPolicy(options.Damping), out var report);
        (log.Rung, log.Damping, log.DeadColumns) = (report.Rung, report.Damping, report.DeadColumns);
        if (factor is null) return RoundToNearest(site, log, "The Hessian could not be factorised");

        using var codes = new AffineCodes(options, site);
        var importance = options.Importance ? Importance(statistics.Get<Hessian>(), factor.Order) : [];
        log.Loss = codes.Quantize(new AffineGrid(options), factor.Order, tile => new Sweep(options, factor, importance, tile).Run());
        if (!double.IsFinite(log.Loss.Value)) return RoundToNearest(site, log, "Error feedback left the range of numbers");
        var permuted = options is { ActivationOrder: true, StaticGroups: false } && codes.Groups > 1;
        return codes.Finish(permuted ? GroupIndex(factor.Order, codes.GroupColumns) : null, log);
    }

    private LinearResult RoundToNearest(LinearView site, SiteLog log, string reason)
    {
        log.Rung = Rung.RoundToNearest;
        log.Notes.Add(string.Create(CultureInfo.InvariantCulture, $"{reason}; weights were rounded to the nearest code."));
        var rtn = new Rtn(new Rtn.Options
        {
            Bits = options.Bits,
            GroupSize = options.GroupSize,
            Symmetric = options.Symmetric,
            Flavour = options.Flavour,
            Mse = options.Mse,
            ScaleType = options.ScaleType,
        });
        return rtn.Apply(site, StatisticsSet.Empty, log);
    }

    /// <summary>H_jj of each step as a share of the largest, so that no sum leaves the range of numbers.</summary>
    private static float[] Importance(Hessian hessian, int[] order)
    {
        var diagonal = hessian.Diagonal();
        var largest = diagonal.Max();
        return largest > 0 ? Array.ConvertAll(order, column => diagonal[column] / largest) : [];
    }

    private static int[] GroupIndex(int[] order, int groupColumns)
    {
        var result = new int[order.Length];
        for (var step = 0; step < order.Length; step++) result[order[step]] = step / groupColumns;
        return result;
    }

    /// <summary>One tile's way through all columns.</summary>
    private sealed class Sweep
    {
        private readonly Options options;
        private readonly FeedbackFactor factor;
        private readonly float[] importance;
        private readonly AffineTile tile;
        private readonly int columns;
        private readonly int groupColumns;

        public Sweep(Options options, FeedbackFactor factor, float[] importance, AffineTile tile)
        {
            (this.options, this.factor, this.importance, this.tile) = (options, factor, importance, tile);
            columns = factor.Size;
            groupColumns = options.GroupColumns(columns);
        }

        /// <summary>True where groups are fitted on the way, to updated weights.</summary>
        private bool IsDynamic => groupColumns < columns && !options.StaticGroups;

        public double Run()
        {
            // As published: a whole row is fitted before, static groups after the weights of dead inputs become zero.
            if (groupColumns >= columns) FitStatic();
            for (var step = 0; step < columns; step++)
            {
                if (factor.Dead[factor.Order[step]]) tile.Rows.Clear(step);
            }
            if (groupColumns < columns && options.StaticGroups) FitStatic();

            var loss = 0.0;
            // Columns before `ready` have seen the errors of all columns before `seen`.
            int seen = 0, ready = 0;
            for (var first = 0; first < columns; first += options.BlockSize)
            {
                var last = Math.Min(columns, first + options.BlockSize);
                var needed = IsDynamic ? Math.Min(columns, (last - 1) / groupColumns * groupColumns + groupColumns) : last;
                ready = Math.Max(ready, first);
                tile.Rows.Update(factor, first, ready, seen, first);
                tile.Rows.Update(factor, ready, needed, 0, first);
                (seen, ready) = (first, needed);
                for (var panel = 0; panel < tile.Rows.UsedPanels; panel++)
                {
                    if (IsDynamic) FitDynamic(panel, first, last, needed);
                    loss += Block(panel, first, last);
                }
            }
            return loss / 2;
        }

        private void FitStatic()
        {
            var stepOf = new int[columns];
            for (var step = 0; step < columns; step++) stepOf[factor.Order[step]] = step;
            for (var panel = 0; panel < tile.Rows.UsedPanels; panel++)
            {
                for (var first = 0; first < columns; first += groupColumns)
                {
                    var steps = stepOf.AsSpan(first, Math.Min(groupColumns, columns - first));
                    tile.Fit(panel, first / groupColumns, steps, importance.Length == 0 ? [] : Array.ConvertAll(steps.ToArray(), s => importance[s]));
                }
            }
        }

        private unsafe void FitDynamic(int panel, int first, int last, int needed)
        {
            var start = (first + groupColumns - 1) / groupColumns * groupColumns;
            if (start >= last) return;
            var weights = tile.Rows.Foresee(panel, factor, first, needed);
            for (; start < last; start += groupColumns)
            {
                var count = Math.Min(groupColumns, columns - start);
                tile.Fit(panel, start / groupColumns, start, count, weights + (start - first) * RowTile.PanelRows,
                    importance.Length == 0 ? [] : importance.AsSpan(start, count));
            }
        }

        private double Block(int panel, int first, int last)
        {
            const int Together = ProductKernel.TileRows;
            var loss = 0.0;
            for (var from = first; from < last; from = Math.Min(last, (from / Together + 1) * Together))
            {
                var to = Math.Min(last, (from / Together + 1) * Together);
                tile.Rows.Update(panel, factor, from, to, first, from);
                for (var step = from; step < to; step++)
                {
                    var d = (double)factor.Diagonal[step];
                    loss += d * d * tile.Quantize(panel, step, GroupOf(step));
                    if (step + 1 < to) tile.Rows.Update(panel, factor, step + 1, to, step, step + 1);
                }
            }
            return loss;
        }

        private int GroupOf(int step) => (options.StaticGroups ? factor.Order[step] : step) / groupColumns;
    }
}
