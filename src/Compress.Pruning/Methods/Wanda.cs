using System.Globalization;
using Compress.Core.Methods;
using Compress.Core.Statistics;
using Compress.Pruning.Selection;
using TorchSharp;

namespace Compress.Pruning.Methods;

/// <summary>Removes the weights with the smallest <c>|W_ij|·‖X_j‖₂</c>, compared within each output row.</summary>
/// <remarks>
/// <para>Sun et al. 2023, "A Simple and Effective Pruning Approach for Large Language Models", arXiv:2306.11695, section 3.
/// <c>W [out, in]</c>, <c>X [tokens, in]</c>. Each row loses its <c>floor(in·sparsity)</c> lowest scores, the lower column first
/// among equals, as after a stable sort; N:M keeps the N highest of every M consecutive inputs. No weight is updated.</para>
/// <para>An input that was always zero scores 0 and goes first.</para>
/// </remarks>
/// <param name="options">Settings.</param>
[Method("wanda", StageKind.Prune,
    Summary = "Removes the weights with the smallest magnitude times input norm, compared within each output row.",
    Paper = "Sun et al. 2023, arXiv:2306.11695")]
public sealed class Wanda(Wanda.Options options) : ILinearMethod
{
    /// <summary>Settings of <see cref="Wanda"/>.</summary>
    public sealed record Options
    {
        /// <summary>Share of each row to remove. Required without a pattern; with N:M it is 1 − N/M and may be left out.</summary>
        [Between(0, 1)]
        public double? Sparsity { get; init; }

        /// <summary>Where zeros may lie: <c>unstructured</c>, or N:M with N kept of every M inputs, such as <c>"2:4"</c>.</summary>
        public Pattern Pattern { get; init; } = Pattern.Unstructured;
    }

    /// <inheritdoc/>
    public Needs Needs => Needs.Of<ColumnNorms>();

    /// <inheritdoc/>
    public string? Unfit(SiteShape site) => options.Pattern.Unfit(options.Sparsity, site.InFeatures);

    /// <inheritdoc/>
    public SiteOutlook Outlook(SiteShape site) => new(Sparsity: options.Pattern.Sparsity ?? options.Sparsity);

    /// <inheritdoc/>
    public LinearResult Apply(LinearView site, StatisticsSet statistics, SiteLog log)
    {
        using var scalerRow = statistics.Get<ColumnNorms>().ScalerRow();
        var norms = Norms(scalerRow, log);
        return new LinearResult(RowPruner.Prune(site, options.Pattern, options.Sparsity ?? 0,
            (_, weights, scores) => RowPruner.Magnitudes(weights, norms, scores), log));
    }

    private static float[] Norms(torch.Tensor scalerRow, SiteLog log)
    {
        using var onHost = scalerRow.cpu();
        using var root = onHost.sqrt();
        var norms = root.data<float>().ToArray();
        log.DeadColumns = norms.Count(n => n == 0);
        var bad = 0;
        for (var j = 0; j < norms.Length; j++)
        {
            if (float.IsFinite(norms[j])) continue;
            // The largest factor keeps the column, and keeps 0 · factor a number.
            norms[j] = float.MaxValue;
            bad++;
        }
        if (bad > 0)
        {
            log.Notes.Add(string.Create(CultureInfo.InvariantCulture,
                $"{bad} inputs had values that are not finite; their weights were ranked as the most important."));
        }
        return norms;
    }
}
