using Compress.Core.Methods;
using Compress.Core.Statistics;
using Compress.Pruning.Selection;

namespace Compress.Pruning.Methods;

/// <summary>Removes the weights with the smallest magnitude, compared within a matrix or over the whole model.</summary>
/// <remarks>
/// <para>Han et al. 2015, arXiv:1506.02626; the usual baseline of Wanda and SparseGPT. Exactly <c>floor(n·sparsity)</c> weights go; of
/// equal ones those that come first, row by row and site by site. (Published code compares with a threshold, so that all weights equal
/// to it go as well: more than was asked for, noticeably so in half precision.)</para>
/// <para><see cref="ComparisonScope.Model"/> reads every selected weight twice before the first is changed: once to find the threshold's
/// upper bits, once its lower ones. It tends to hollow out blocks whose weights are small; the papers on language models compare
/// within a layer.</para>
/// </remarks>
/// <param name="options">Settings.</param>
[Method("magnitude", StageKind.Prune,
    Summary = "Removes the weights with the smallest magnitude, compared within a matrix or over the whole model.",
    Paper = "Han et al. 2015, arXiv:1506.02626")]
public sealed class Magnitude(Magnitude.Options options) : ISurveyingMethod
{
    private readonly List<(string Site, KeyHistogram? Counts)> sites = [];
    private readonly Dictionary<string, KeyThreshold> thresholds = [];
    private KeyHistogram? coarse;
    private long weights, removed, within;
    private int? upper;

    /// <summary>Which weights are compared with each other.</summary>
    public enum ComparisonScope
    {
        /// <summary>Those of one matrix.</summary>
        Layer,

        /// <summary>Those of every selected matrix.</summary>
        Model,
    }

    /// <summary>Settings of <see cref="Magnitude"/>.</summary>
    public sealed record Options
    {
        /// <summary>Share of weights to remove. Required without a pattern; with N:M it is 1 − N/M and may be left out.</summary>
        [Between(0, 1)]
        public double? Sparsity { get; init; }

        /// <summary>Where zeros may lie: <c>unstructured</c>, or N:M with N kept of every M inputs, such as <c>"2:4"</c>.</summary>
        public Pattern Pattern { get; init; } = Pattern.Unstructured;

        /// <summary>Which weights are compared with each other; N:M always compares within its group.</summary>
        public ComparisonScope Scope { get; init; } = ComparisonScope.Layer;
    }

    /// <inheritdoc/>
    public Needs Needs => Needs.Nothing;

    private bool IsGlobal => options.Scope == ComparisonScope.Model;

    /// <inheritdoc/>
    public string? Unfit(SiteShape site) => options.Pattern.IsStructured && IsGlobal
        ? $"pattern {options.Pattern} compares within groups of {options.Pattern.Group}: remove scope: model."
        : options.Pattern.Unfit(options.Sparsity, site.InFeatures);

    /// <inheritdoc/>
    public SiteOutlook Outlook(SiteShape site) => new(Sparsity: options.Pattern.Sparsity ?? options.Sparsity);

    /// <inheritdoc/>
    public bool BeginSurvey()
    {
        if (!IsGlobal || thresholds.Count > 0) return false;
        if (coarse is null)
        {
            coarse = new KeyHistogram();
            return true;
        }
        if (upper is not null)
        {
            ShareOut();
            return false;
        }
        var count = (long)(weights * options.Sparsity!.Value) - removed;
        if (count <= 0)
        {
            foreach (var (site, _) in sites) thresholds[site] = KeyThreshold.None;
            return false;
        }
        (upper, within) = coarse.Locate(count);
        sites.Clear();
        return true;
    }

    /// <inheritdoc/>
    public void Survey(LinearView site)
    {
        using var weight = new SiteWeights(site);
        var (counts, removedHere) = MatrixSelection.Count(weight, upper);
        sites.Add((site.Name, upper is null ? null : counts));
        if (upper is not null) return;
        coarse!.Add(counts);
        weights += (long)weight.Rows * weight.Columns;
        removed += removedHere;
    }

    /// <inheritdoc/>
    public LinearResult Apply(LinearView site, StatisticsSet statistics, SiteLog log)
    {
        if (options.Pattern.IsStructured)
        {
            return new LinearResult(RowPruner.Prune(site, options.Pattern, 0,
                (_, values, scores) => RowPruner.Magnitudes(values, [], scores), log));
        }
        using var weight = new SiteWeights(site);
        var threshold = IsGlobal
            ? thresholds[site.Name]
            : MatrixSelection.Find(weight, (long)((double)weight.Rows * weight.Columns * options.Sparsity!.Value));
        return new LinearResult(MatrixSelection.Prune(weight, threshold, log));
    }

    /// <summary>Gives each site its share of the weights that equal the threshold, in order.</summary>
    private void ShareOut()
    {
        var all = new KeyHistogram(upper!.Value);
        foreach (var (_, counts) in sites) all.Add(counts!);
        var (bound, left) = all.Threshold(within);
        foreach (var (site, counts) in sites)
        {
            var ties = Math.Min(left, counts!.CountOf(bound));
            thresholds[site] = new KeyThreshold(bound, ties);
            left -= ties;
        }
        sites.Clear();
    }
}
