using System.Globalization;
using System.Numerics;
using Compress.Core.Methods;
using Compress.Core.Numerics;
using Compress.Core.Statistics;
using Compress.Pruning.Selection;
using static TorchSharp.torch;

namespace Compress.Pruning.Methods;

/// <summary>Removes weights column after column and lets later columns make good what is lost.</summary>
/// <remarks>
/// <para>Frantar and Alistarh 2023, "SparseGPT: Massive Language Models Can Be Accurately Pruned in One-Shot", arXiv:2301.00774, algorithm 1 and
/// the published code. <c>W [out, in]</c>, <c>H = 2/n Σ XᵀX</c> with damping, <c>H⁻¹ = UᵀU</c>. Blocks of <c>block_size</c> columns in order: the
/// weights with the smallest <c>(w / U_jj)²</c> of the whole block go, over all rows together (N:M: the smallest of each M inputs of a row, by
/// weights as updated so far); then, for each column k of the block, <c>w_j ← w_j − (w_k − q_k) · U_kj / U_kk</c> for all later columns j.</para>
/// <para>Counts are exact: over all blocks <c>floor(weights · sparsity)</c> go, the earlier index first among equals, where the code removes all
/// that equal a threshold. Inputs that were always zero lose their weights. <c>1/U_jj</c> and <c>U_kj/U_kk</c> come from
/// <see cref="FeedbackFactor"/>, without H's inverse.</para>
/// </remarks>
/// <param name="options">Settings.</param>
[Method("sparsegpt", StageKind.Prune,
    Summary = "Removes weights column after column and lets later columns make good what is lost.",
    Paper = "Frantar and Alistarh 2023, arXiv:2301.00774")]
public sealed class SparseGpt(SparseGpt.Options options) : ILinearMethod
{
    /// <summary>Settings of <see cref="SparseGpt"/>.</summary>
    public sealed record Options
    {
        /// <summary>Share of weights to remove. Required without a pattern; with N:M it is 1 − N/M and may be left out.</summary>
        [Between(0, 1)]
        public double? Sparsity { get; init; }

        /// <summary>Where zeros may lie: <c>unstructured</c>, or N:M with N kept of every M inputs, such as <c>"2:4"</c>.</summary>
        public Pattern Pattern { get; init; } = Pattern.Unstructured;

        /// <summary>Columns among which the weights to remove are chosen at once; with N:M rounded up to a multiple of M.</summary>
        [Between(1, 1_048_576)]
        public int BlockSize { get; init; } = 128;

        /// <summary>Share of the mean of H's diagonal that is added to the diagonal.</summary>
        [Between(0, 1)]
        public double Damping { get; init; } = 0.01;
    }

    /// <inheritdoc/>
    public Needs Needs => Needs.Of<Hessian>();

    /// <inheritdoc/>
    public string? Unfit(SiteShape site) => options.Pattern.Unfit(options.Sparsity, site.InFeatures);

    /// <inheritdoc/>
    public SiteOutlook Outlook(SiteShape site) => new(Sparsity: options.Pattern.Sparsity ?? options.Sparsity);

    /// <inheritdoc/>
    public LinearResult Apply(LinearView site, StatisticsSet statistics, SiteLog log)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var factor = statistics.Get<Hessian>().Factor(activationOrder: false, new DampingPolicy(options.Damping), out var report);
        (log.Rung, log.Damping, log.DeadColumns) = (report.Rung, report.Damping, report.DeadColumns);
        var weight = Finite(site, log);
        if (factor is null) return ByMagnitude(site, log, "The Hessian could not be factorised");
        if (report.DeadColumns == factor.Size) return ByMagnitude(site, log, "Calibration showed no inputs");
        if (report.DeadColumns > 0) weight.mul_(tensor(factor.Dead.Select(d => d ? 0f : 1f).ToArray()));

        log.Loss = new Sweep(options, factor, site.Mask).Run(weight);
        if (!weight.isfinite().all().item<bool>()) return ByMagnitude(site, log, "The update left the range of numbers");
        return new LinearResult(weight.to(site.Weight.device).MoveToOuterDisposeScope());
    }

    /// <summary>A copy on the CPU with zeros in place of what is not finite or was removed by an earlier stage.</summary>
    private static Tensor Finite(LinearView site, SiteLog log)
    {
        var weight = site.Weight.to(ScalarType.Float32, CPU).clone();
        var finite = weight.isfinite();
        var bad = weight.numel() - finite.sum().item<long>();
        if (bad > 0) log.Notes.Add(string.Create(CultureInfo.InvariantCulture, $"{bad} weights are not finite and were set to zero."));
        if (site.Mask is { } mask) finite = finite.logical_and(mask.cpu());
        return where(finite, weight, zeros_like(weight)).contiguous();
    }

    private LinearResult ByMagnitude(LinearView site, SiteLog log, string reason)
    {
        log.Rung = Rung.RoundToNearest;
        log.Notes.Clear();
        log.Notes.Add($"{reason}; the smallest weights of each row were removed and none was updated.");
        return new LinearResult(RowPruner.Prune(site, options.Pattern, options.Sparsity ?? 0,
            (_, values, scores) => RowPruner.Magnitudes(values, [], scores), log).MoveToOuterDisposeScope());
    }

    /// <summary>The pass over the columns.</summary>
    private sealed unsafe class Sweep
    {
        private readonly FeedbackFactor factor;
        private readonly Pattern pattern;
        private readonly double sparsity;
        private readonly int blockSize;
        private readonly byte[]? mask;

        public Sweep(Options options, FeedbackFactor factor, Tensor? mask)
        {
            this.factor = factor;
            (pattern, sparsity) = (options.Pattern, options.Sparsity ?? 0);
            var group = Math.Max(1, pattern.Group);
            blockSize = (options.BlockSize + group - 1) / group * group;
            this.mask = mask?.to(ScalarType.Byte, CPU).data<byte>().ToArray();
        }

        /// <summary>Prunes a weight in place.</summary>
        /// <returns><c>½ Σ (w_k − q_k)² / U_kk²</c>.</returns>
        public double Run(Tensor weight)
        {
            using var view = HostMatrix.Of(weight);
            var (rows, columns) = (view.Rows, view.Columns);
            var update = Update();
            var losses = new double[rows];
            for (var first = 0; first < columns; first += blockSize)
            {
                using var scope = NewDisposeScope();
                var (from, width) = (first, Math.Min(blockSize, columns - first));
                // What the blocks so far may have removed in all, less what they have: the total is exact whatever the block size.
                var count = (long)((double)rows * (from + width) * sparsity) - (long)((double)rows * from * sparsity);
                var keep = pattern.IsStructured ? null : Keep(view, from, width, (int)count);
                var own = update.narrow(0, from, width);
                using var near = HostMatrix.Of(own.narrow(1, from, width).contiguous());
                var errors = zeros(rows, width, ScalarType.Float32);
                using var lost = HostMatrix.Of(errors);
                Workers.For(rows, (long)rows * width * width / 2, row => losses[row] += Row(view, row, from, width, keep, near, lost.Row(row)));
                var rest = columns - from - width;
                if (rest > 0) weight.narrow(1, from + width, rest).sub_(errors.matmul(own.narrow(1, from + width, rest)));
            }
            return losses.Sum() / 2;
        }

        /// <summary>For each weight of a block, 1 where it stays and 0 where it goes.</summary>
        private float[] Keep(HostMatrix weight, int from, int width, int count)
        {
            var keys = new int[weight.Rows * width];
            Workers.For(weight.Rows, keys.Length, row =>
            {
                for (var k = 0; k < width; k++) keys[row * width + k] = Key(weight, row, from + k);
            });
            var keep = new float[keys.Length];
            keep.AsSpan().Fill(1);
            SmallestInRow.Zero(keys, count, keep);
            return keep;
        }

        private bool IsRemoved(HostMatrix weight, int row, int column) =>
            mask is not null && mask[(long)row * weight.Columns + column] == 0;

        /// <summary>Bits of the score, which sort like it; what an earlier stage removed comes before everything.</summary>
        private int Key(HostMatrix weight, int row, int column)
        {
            if (IsRemoved(weight, row, column)) return -1;
            var root = weight.Row(row)[column] * factor.Diagonal[column];
            return BitConverter.SingleToInt32Bits(Math.Min(root * root, float.MaxValue));
        }

        private double Row(HostMatrix weight, int row, int from, int width, float[]? keep, HostMatrix near, Span<float> lost)
        {
            var values = weight.Row(row).Slice(from, width);
            var removed = (Span<bool>)stackalloc bool[Math.Max(1, pattern.Group)];
            var loss = 0.0;
            for (var k = 0; k < width; k++)
            {
                if (keep is null && k % pattern.Group == 0) Choose(weight, row, from + k, removed);
                var goes = IsRemoved(weight, row, from + k) || (keep is null ? removed[k % pattern.Group] : keep[row * width + k] == 0);
                if (!goes) continue;
                var error = values[k];
                lost[k] = error;
                loss += (double)error * error * factor.Diagonal[from + k] * factor.Diagonal[from + k];
                Subtract(near.Row(k)[k..], error, values[k..]);
                values[k] = 0;
            }
            return loss;
        }

        private static void Subtract(ReadOnlySpan<float> update, float error, Span<float> values)
        {
            var i = 0;
            for (; i <= values.Length - Vector<float>.Count; i += Vector<float>.Count)
                (new Vector<float>(values[i..]) - new Vector<float>(update[i..]) * error).CopyTo(values[i..]);
            for (; i < values.Length; i++) values[i] -= update[i] * error;
        }

        /// <summary>Marks the smallest scores of a group of inputs, the first ones among equals.</summary>
        private void Choose(HostMatrix weight, int row, int from, Span<bool> removed)
        {
            removed.Clear();
            for (var n = pattern.Group - pattern.Kept; n > 0; n--)
            {
                var (best, at) = (int.MaxValue, -1);
                for (var k = 0; k < pattern.Group; k++)
                {
                    if (removed[k]) continue;
                    var key = Key(weight, row, from + k);
                    if (key >= best && at >= 0) continue;
                    (best, at) = (key, k);
                }
                removed[at] = true;
            }
        }

        /// <summary><c>U_kj / U_kk</c> for all k ≤ j: the inverse of I + F.</summary>
        private Tensor Update()
        {
            var n = factor.Size;
            var feedback = eye(n, dtype: ScalarType.Float32);
            using var view = HostMatrix.Of(feedback);
            for (var j = 0; j < n; j++)
            {
                var column = factor.Column(j);
                for (var k = 0; k < j; k++) view.Row(k)[j] = column[k * ProductKernel.PanelWidth];
            }
            return linalg.solve_triangular(feedback, eye(n, dtype: ScalarType.Float32), upper: true, unitriangular: true);
        }
    }
}
