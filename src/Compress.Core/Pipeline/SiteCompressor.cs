using Compress.Core.Calibration;
using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Recipes;
using Compress.Core.Runs;
using Compress.Core.Statistics;
using Compress.Formats.Checkpoints;
using static TorchSharp.torch;

namespace Compress.Core.Pipeline;

/// <summary>Applies a stage's method to one site, and holds the result to what the method and the recipe promise.</summary>
/// <param name="stage">The stage.</param>
/// <param name="number">Its number, from 1.</param>
/// <param name="method">Its method.</param>
/// <param name="source">The checkpoint before the stage.</param>
/// <param name="seed">The recipe's seed.</param>
/// <param name="device">Where the method computes.</param>
internal sealed class SiteCompressor(StageRecipe stage, int number, ILinearMethod method, ITensorSource source, int seed, Device device)
{
    /// <summary>Loads a site's weight as a method sees it, and the mask of its zeros where the stage keeps sparsity.</summary>
    /// <returns>The view; weight and mask lie in the current dispose scope.</returns>
    public LinearView View(SelectableSite site)
    {
        var spec = site.Spec;
        var weight = TensorBridge.Load(source, spec.Weight, spec.OutFeatures, spec.InFeatures, ScalarType.Float32, device);
        var mask = stage.KeepSparsity ? weight.ne(0) : null;
        var purpose = FormattableString.Invariant($"stage {number}");
        return new LinearView(site.Shape.Name, site.Shape.Role, weight, mask, Seeds.Derive(seed, purpose, site.Shape.Name));
    }

    /// <summary>Compresses a site.</summary>
    /// <param name="site">The site.</param>
    /// <param name="statistics">What was gathered of its input; borrowed.</param>
    /// <param name="notes">Remarks on what was done to the site before.</param>
    /// <returns>The new weight and the report.</returns>
    public (CompressedSite Weight, SiteReport Report) Compress(
        SelectableSite site, IReadOnlyList<Statistic> statistics, IEnumerable<string> notes)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var view = View(site);
        var log = new SiteLog();
        log.Notes.AddRange(notes);
        using var result = Checked(view, method.Apply(view, new StatisticsSet(statistics), log), log);
        var stored = result.Encoded is null ? result.Weight.to(TypeOf(site)) : result.Weight;
        var after = stored.to(ScalarType.Float32);
        var comparison = WeightScan.Compare(view.Weight, after);
        var report = new SiteReport
        {
            Stage = number,
            Method = stage.Method.Attribute.Name,
            Site = site.Shape.Name,
            Role = site.Shape.Role,
            Block = site.Block,
            Rows = site.Shape.OutFeatures,
            Columns = site.Shape.InFeatures,
            Zeros = comparison.Zeros / (double)after.numel(),
            Bits = result.Encoded?.CodeBits,
            GroupSize = result.Quantized?.GroupSize,
            BitsPerWeight = 8.0 * result.Encoded?.StoredBytes / after.numel(),
            WeightError = SiteErrors.Ratio(comparison.ErrorSquared, comparison.NormSquared),
            OutputError = SiteErrors.Output(view.Weight, after, statistics),
            Rung = log.Rung,
            Damping = log.Damping,
            DeadColumns = log.DeadColumns,
            Loss = log.Loss,
            Notes = log.Notes,
        };
        // The result's own tensor goes with the scope; where no cast was needed, stored is that tensor.
        var kept = ReferenceEquals(stored, result.Weight) ? stored.alias() : stored;
        return (new CompressedSite(site, kept.MoveToOuterDisposeScope(), result.Encoded), report);
    }

    private ScalarType TypeOf(SelectableSite site) => TensorBridge.ScalarTypeOf(source.Tensors[site.Spec.Weight.Tensor].Type);

    private LinearResult Checked(LinearView view, LinearResult result, SiteLog log)
    {
        if (!result.Weight.shape.AsSpan().SequenceEqual(view.Weight.shape) || result.Weight.dtype != ScalarType.Float32)
            throw Broken(view, "returned a weight of another shape or type");
        if (result.Encoded is { } encoded && !WeightScan.IsDecodeOf(result.Weight, encoded))
            throw Broken(view, "returned a weight that is not the decode of its codes");
        if (view.Mask is not null && result.Weight.ne(0).logical_and(view.Mask.logical_not()).any().item<bool>())
            throw Broken(view, "revived weights that an earlier stage removed");
        if (WeightScan.Compare(result.Weight, result.Weight).IsFinite) return result;
        log.Notes.Add("The result was not finite; the site stays as it was.");
        result.Dispose();
        return new LinearResult(view.Weight.clone());
    }

    private InvalidOperationException Broken(LinearView view, string what) =>
        new($"{stage.Method.Attribute.Name} {what} at {view.Name}.");
}
