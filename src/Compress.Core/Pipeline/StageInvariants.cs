using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Runs;
using TorchSharp;

namespace Compress.Core.Pipeline;

/// <summary>Holds a finished stage's files to what its method promised: the last look before the next stage builds on them.</summary>
internal static class StageInvariants
{
    /// <summary>Reads every compressed site back from disk and checks zeros, pattern, and bits.</summary>
    /// <exception cref="InvalidOperationException">A promise is broken: a bug.</exception>
    public static void Require(StageJob job, ILinearMethod method, StageCheckpoint result)
    {
        var sites = SiteSelection.Select(job.Model, job.Stage).ToDictionary(s => s.Shape.Name, StringComparer.Ordinal);
        var parts = job.Journal.Entries.OfType<PartFinished>().Where(p => p.Stage == job.Number).ToList();
        if (parts.Sum(p => p.Sites.Count) != sites.Count) throw new InvalidOperationException($"{job.Title} did not reach every site.");
        foreach (var report in parts.SelectMany(p => p.Sites))
        {
            job.Cancellation.ThrowIfCancellationRequested();
            using var scope = torch.NewDisposeScope();
            var site = sites[report.Site];
            var weight = TensorBridge.Load(result, site.Spec.Weight, report.Rows, report.Columns, torch.ScalarType.Float32, torch.CPU);
            if (Zeros(weight) != report.Zeros) throw Broken(report, "has other zeros on disk than in memory");
            var encoded = result.ReadEncoded(report.Site);
            RequireOutlook(report, method.Outlook(site.Shape));
            if (encoded?.CodeBits != report.Bits) throw Broken(report, "has another bit width on disk than in memory");
            if (job.Stage.KeepSparsity) RequireMask(job, site, weight, report);
            result.Release(site.Spec.Weight.Tensor);
        }
    }

    private static double Zeros(torch.Tensor weight) => (weight.numel() - weight.count_nonzero().item<long>()) / (double)weight.numel();

    private static void RequireOutlook(SiteReport report, SiteOutlook outlook)
    {
        if (outlook.Bits is { } bits && report.Bits != bits) throw Broken(report, FormattableString.Invariant($"does not have {bits} bits"));
        // A method may round the number of zeros down in each row, never further.
        if (outlook.Sparsity is { } sparsity && report.Zeros < Math.Floor(report.Columns * sparsity) / report.Columns)
            throw Broken(report, FormattableString.Invariant($"has fewer zeros than {sparsity:P1}"));
    }

    private static void RequireMask(StageJob job, SelectableSite site, torch.Tensor weight, SiteReport report)
    {
        var before = TensorBridge.Load(job.Source, site.Spec.Weight, report.Rows, report.Columns, torch.ScalarType.Float32, torch.CPU);
        job.Source.Release(site.Spec.Weight.Tensor);
        if (before.eq(0).logical_and(weight.ne(0)).any().item<bool>()) throw Broken(report, "revived weights that an earlier stage removed");
    }

    private static InvalidOperationException Broken(SiteReport report, string what) =>
        new(FormattableString.Invariant($"Stage {report.Stage} ({report.Method}): {report.Site} {what}."));
}
