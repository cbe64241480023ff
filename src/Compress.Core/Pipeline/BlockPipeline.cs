using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using Compress.Core.Evaluation;
using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Progress;
using Compress.Core.Runs;
using Compress.Core.Statistics;
using TorchSharp;

namespace Compress.Core.Pipeline;

/// <summary>
/// Runs one stage over the model, a part at a time: load a block from the mapped checkpoint, gather statistics on the activations that
/// the compressed blocks before it produced, compress its sites, write and journal it, push the activations through, dispose.
/// </summary>
/// <remarks>
/// Memory is one block, its statistics and the activations, whatever the depth (the driver of Wanda, SparseGPT and GPTQ). A method that
/// needs no statistics runs without forward passes. Parts that the journal names are not done again: activations pass through what
/// they left, which gives the same bits as if the run had never stopped.
/// </remarks>
internal sealed class BlockPipeline : IDisposable
{
    private static readonly Dictionary<string, List<string>> NoNotes = [];

    private readonly StageJob job;
    private readonly ILinearMethod method;
    private readonly StageCheckpoint result;
    private readonly FoldedTensors source;
    private readonly SiteCompressor compressor;
    private readonly BlockScaling? scaling;
    private readonly Dictionary<string, PartFinished> finished;
    private readonly PositionTables tables = new();
    private Activations? activations;
    private long done;

    private BlockPipeline(StageJob job, ILinearMethod method, StageCheckpoint result)
    {
        this.job = job;
        this.method = method;
        this.result = result;
        source = new FoldedTensors(job.Source);
        compressor = new SiteCompressor(job.Stage, job.Number, method, source, job.Seed, job.Forward.Device);
        scaling = method is IScalingMethod scales ? new BlockScaling(job, scales, compressor, source) : null;
        finished = job.Journal.Entries.OfType<PartFinished>().Where(e => e.Stage == job.Number)
            .ToDictionary(e => e.Part, StringComparer.Ordinal);
    }

    private bool NeedsActivations => method.Needs.Types.Count > 0 || scaling is not null;

    /// <summary>Runs a stage, or what is left of it.</summary>
    /// <returns>The model with the stage's parts laid over it.</returns>
    public static ModelState Run(StageJob job, ILinearMethod method)
    {
        var result = new StageCheckpoint(job.Source, job.Model);
        try
        {
            using var pipeline = new BlockPipeline(job, method, result);
            pipeline.Run();
            if (!job.Journal.Entries.OfType<StageFinished>().Any(e => e.Stage == job.Number)) StageInvariants.Require(job, method, result);
            return job.Input with { Tensors = result };
        }
        catch
        {
            result.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        activations?.Dispose();
        tables.Dispose();
        source.Dispose();
    }

    private void Run()
    {
        var selected = SiteSelection.Select(job.Model, job.Stage);
        var parts = ModelPart.Of(job.Model, selected);
        job.Progress.Report(new PhaseStarted(job.Title, selected.Count, "sites"));
        foreach (var part in parts.Where(p => finished.ContainsKey(p.Name))) result.Add(part.FileIn(job.Folder));
        var last = parts.ToList().FindLastIndex(p => p.Sites.Count > 0 && !finished.ContainsKey(p.Name));
        if (last >= 0) Survey(selected);
        for (var i = 0; i <= last; i++)
        {
            job.Cancellation.ThrowIfCancellationRequested();
            RunPart(parts[i], advance: i < last);
            // A block's codes are tens of megabytes of arrays, which the collector would let pile up to several blocks' worth.
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        }
        job.Progress.Report(new PhaseEnded());
    }

    /// <summary>Lets a method with a global view see every weight before it changes the first; a resumed run repeats it.</summary>
    private void Survey(IReadOnlyList<SelectableSite> selected)
    {
        if (method is not ISurveyingMethod surveying) return;
        while (surveying.BeginSurvey())
        {
            foreach (var site in selected)
            {
                job.Cancellation.ThrowIfCancellationRequested();
                using var scope = torch.NewDisposeScope();
                surveying.Survey(compressor.View(site));
                job.Source.Release(site.Spec.Weight.Tensor);
            }
        }
    }

    private void RunPart(ModelPart part, bool advance)
    {
        var start = Stopwatch.GetTimestamp();
        var compress = part.Sites.Count > 0 && !finished.ContainsKey(part.Name);
        if (finished.TryGetValue(part.Name, out var earlier)) Advance(earlier.Sites.Count, null);
        if (part.Name == ModelPart.EmbeddingName && !compress) return;
        using (var scope = torch.NewDisposeScope())
        {
            var notes = compress ? Scale(part) : NoNotes;
            using var block = LoadBlock(part, compress);
            if (compress) Finish(part, Compress(part, block, notes), start);
            if (block is not null && advance) activations!.Advance(block);
        }
        source.Clear();
        foreach (var tensor in part.Sites.Select(s => s.Spec.Weight.Tensor)) job.Source.Release(tensor);
    }

    /// <summary>Moves scale between the block's tensors where the method does so.</summary>
    /// <returns>Remarks for the sites, by name.</returns>
    private IReadOnlyDictionary<string, List<string>> Scale(ModelPart part)
    {
        if (scaling is null || part.Block is null) return NoNotes;
        EnsureActivations();
        return scaling.Run(part, activations!, tables);
    }

    /// <summary>The block as activations see it: as it was where it is to be compressed, as it became where that is done.</summary>
    private Block? LoadBlock(ModelPart part, bool compress)
    {
        if (!NeedsActivations || part.Block is not { } index) return null;
        EnsureActivations();
        using var streamed = new StreamedTensors(compress ? source : result);
        return Block.Load(streamed, job.Model.Blocks[index], job.Forward.Compute, job.Forward.Device, tables);
    }

    private void EnsureActivations() =>
        activations ??= Activations.Embed(result, job.Model, job.Windows, job.Forward, job.Cancellation);

    private List<(CompressedSite Weight, SiteReport Report)> Compress(
        ModelPart part, Block? block, IReadOnlyDictionary<string, List<string>> notes)
    {
        var results = new List<(CompressedSite, SiteReport)>();
        if (part.Name == ModelPart.HeadName && NeedsActivations)
        {
            EnsureActivations();
            using var head = Head.Load(job.Source, job.Model, job.Forward.Compute, job.Forward.Device);
            using var statistics = new StatisticsCollector(method.Needs, [head.Site], job.Forward.Device);
            activations!.Observe(head, statistics);
            results.Add(CompressSite(part.Sites[0], statistics.Of(head.Site.InputName), notes));
            return results;
        }
        if (block is null)
        {
            results.AddRange(part.Sites.Select(site => CompressSite(site, [], notes)));
            return results;
        }
        var sites = part.Sites.Select(s => (Selected: s, Linear: block.Sites.First(b => b.Name == s.Shape.Name))).ToList();
        foreach (var group in sites.GroupBy(s => method.TrueSequential ? s.Linear.InputName : ""))
        {
            using var statistics = new StatisticsCollector(method.Needs, group.Select(s => s.Linear), job.Forward.Device);
            activations!.Observe(block, statistics);
            foreach (var (selected, linear) in group)
            {
                var result = CompressSite(selected, statistics.Of(linear.InputName), notes);
                linear.Weight = result.Weight.Weight.to(job.Forward.Compute, copy: true);
                results.Add(result);
                if (group.Last(s => s.Linear.InputName == linear.InputName).Linear == linear) statistics.Forget(linear.InputName);
            }
        }
        return results;
    }

    private (CompressedSite Weight, SiteReport Report) CompressSite(
        SelectableSite site, IReadOnlyList<Statistic> statistics, IReadOnlyDictionary<string, List<string>> notes)
    {
        job.Cancellation.ThrowIfCancellationRequested();
        var result = compressor.Compress(site, statistics, notes.GetValueOrDefault(site.Shape.Name) ?? []);
        Advance(1, Describe(result.Report));
        return result;
    }

    /// <summary>Writes a part and journals it: from here on it is never done again.</summary>
    private void Finish(ModelPart part, List<(CompressedSite Weight, SiteReport Report)> results, long start)
    {
        var path = part.FileIn(job.Folder);
        string[] others = [.. source.Folded.Except(part.Sites.Select(s => s.Spec.Weight.Tensor)).Order(StringComparer.Ordinal)];
        PartFile.Write(path, source, [.. results.Select(r => r.Weight)], others);
        foreach (var (weight, _) in results) weight.Dispose();
        using var stream = File.OpenRead(path);
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(stream));
        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        job.Journal.Append(new PartFinished(job.Number, part.Name, sha256, stream.Length, seconds, [.. results.Select(r => r.Report)]));
        result.Add(path);
    }

    private void Advance(int sites, string? detail) => job.Progress.Report(new PhaseAdvanced(done += sites, detail));

    private static string Describe(SiteReport report) => report.OutputError is { } error
        ? string.Create(CultureInfo.InvariantCulture, $"{report.Site}: output error {error:G3}")
        : string.Create(CultureInfo.InvariantCulture, $"{report.Site}: weight error {report.WeightError:G3}");
}
