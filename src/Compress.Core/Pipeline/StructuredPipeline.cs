using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Compress.Core.Evaluation;
using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Progress;
using Compress.Core.Runs;
using Compress.Core.Statistics;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using static TorchSharp.torch;

namespace Compress.Core.Pipeline;

/// <summary>
/// Runs a stage that removes coupled groups: the method studies the model and chooses, then the blocks pass through memory one after the
/// other and are cut, compensated, written and journaled.
/// </summary>
/// <remarks>The choice is a part of the stage like any other, so a killed run does not study the model again.</remarks>
internal sealed class StructuredPipeline : IDisposable
{
    private const string ChoicePart = "choice", GroupsTensor = "groups";

    private readonly StageJob job;
    private readonly IStructuredMethod method;
    private readonly Dictionary<string, PartFinished> finished;
    private readonly PositionTables tables = new();
    private readonly CoupledRemoval removal;
    private readonly HashSet<CoupledGroup> removed;
    private readonly StageCheckpoint result;
    private Activations? activations;

    private StructuredPipeline(StageJob job, IStructuredMethod method)
    {
        this.job = job;
        this.method = method;
        finished = job.Journal.Entries.OfType<PartFinished>().Where(e => e.Stage == job.Number)
            .ToDictionary(e => e.Part, StringComparer.Ordinal);
        removed = [.. Choice()];
        removal = CoupledRemoval.Plan(job.Input.Config, job.Model, removed, method.Compensation != Compensation.None);
        result = StageCheckpoint.Reshaped(job.Source, job.Model, removal.Spec);
    }

    /// <summary>Runs the stage, or what is left of it.</summary>
    /// <returns>The smaller model.</returns>
    public static ModelState Run(StageJob job, IStructuredMethod method)
    {
        using var pipeline = new StructuredPipeline(job, method);
        try
        {
            pipeline.Run();
            return new ModelState(pipeline.removal.Spec, pipeline.removal.Config, pipeline.result);
        }
        catch
        {
            pipeline.result.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        activations?.Dispose();
        tables.Dispose();
    }

    private List<CoupledGroup> Choice()
    {
        var path = Path.Combine(job.Folder, ChoicePart + ".safetensors");
        if (!finished.ContainsKey(ChoicePart))
        {
            var start = Stopwatch.GetTimestamp();
            job.Progress.Report(new PhaseStarted(job.Title + ", choice", job.Model.Blocks.Length, "blocks"));
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            var groups = method.Choose(new ModelStudy(job));
            int[] numbers = [.. groups.SelectMany(g => (int[])[(int)g.Kind, g.Block, g.Index])];
            var info = TensorInfo.Of(GroupsTensor, ElementType.I32, [groups.Count, 3]);
            PartFile.WriteWhole(path, [(info, tensor(numbers, [groups.Count, 3], ScalarType.Int32))], []);
            Finish(ChoicePart, path, start, []);
            job.Progress.Report(new PhaseEnded());
        }
        using var file = PartFile.Open(path);
        var view = file.Tensors.Open(GroupsTensor);
        var stored = MemoryMarshal.Cast<byte, int>(view.Bytes(0, checked((int)view.Info.ByteCount)));
        var result = new List<CoupledGroup>();
        for (var i = 0; i < stored.Length; i += 3) result.Add(new CoupledGroup((GroupKind)stored[i], stored[i + 1], stored[i + 2]));
        return result;
    }

    private void Run()
    {
        job.Progress.Report(new PhaseStarted(job.Title, job.Model.Blocks.Length, "blocks"));
        var kept = removal.KeptBlocks.Index().ToDictionary(k => k.Item, k => k.Index);
        for (var i = 0; i < job.Model.Blocks.Length; i++)
        {
            job.Cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            if (kept.TryGetValue(i, out var index)) Cut(i, index);
            job.Progress.Report(new PhaseAdvanced(i + 1, job.Model.Blocks[i].Prefix));
        }
        RequireShapes();
        job.Progress.Report(new PhaseEnded());
    }

    private void Cut(int old, int index)
    {
        var start = Stopwatch.GetTimestamp();
        var spec = removal.Spec.Blocks[index];
        var part = string.Create(CultureInfo.InvariantCulture, $"block-{index:00000}");
        var path = Path.Combine(job.Folder, part + ".safetensors");
        var done = finished.ContainsKey(part);
        var last = index == removal.KeptBlocks.Count - 1;
        if (done) result.Add(path);
        if (done && (method.Compensation == Compensation.None || last)) return;

        using var source = new StreamedTensors(job.Source);
        using var original = Block.Load(source, job.Model.Blocks[old], job.Forward.Compute, job.Forward.Device, tables);
        if (!done)
        {
            // Cut from f32, so that what is written does not depend on the arithmetic of the forward passes.
            using var exact = Block.Load(source, job.Model.Blocks[old], ScalarType.Float32, CPU, tables);
            using var smaller = removal.Apply(exact, index);
            var energies = smaller.Sites.ToDictionary(s => s.Role, s => Energy(s.Weight));
            var errors = Compensate(exact, original, smaller, old);
            Write(path, smaller, old);
            result.Add(path);
            Finish(part, path, start, [.. Reports(exact, smaller, old, index, energies, errors)]);
        }
        if (activations is null || last) return;
        // Means are the original model's; a refit sees what the smaller blocks before it leave.
        if (method.Compensation == Compensation.Bias) activations.Advance(original);
        else
        {
            using var stored = new StreamedTensors(result);
            using var block = Block.Load(stored, spec, job.Forward.Compute, job.Forward.Device, tables);
            activations.Advance(block);
        }
    }

    /// <summary>Makes good what the output projections lost.</summary>
    /// <returns>Relative squared error of each compensated site's output, by role.</returns>
    private Dictionary<SiteRole, double> Compensate(Block exact, Block original, Block smaller, int old)
    {
        var errors = new Dictionary<SiteRole, double>();
        if (method.Compensation == Compensation.None) return errors;
        activations ??= Resume(old);
        var outputs = exact.Sites.Where(s => s.Role is SiteRole.Output or SiteRole.Down).ToList();
        var needs = method.Compensation == Compensation.Bias ? Needs.Of<ChannelMoments>() : Needs.Of<ChannelMoments, Hessian>();
        using var statistics = new StatisticsCollector(needs, outputs, job.Forward.Device);
        activations.Observe(original, statistics);
        foreach (var site in outputs)
        {
            var target = smaller.Sites.FirstOrDefault(s => s.Role == site.Role);
            var kept = Kept(site.Role, old, site.Spec.InFeatures);
            if (target is null || kept.Length == site.Spec.InFeatures) continue;
            var set = new StatisticsSet(statistics.Of(site.InputName));
            var refit = method.Compensation == Compensation.Bias
                ? OutputCompensation.OfMeans(site.Weight, kept, set.Get<ChannelMoments>())
                : OutputCompensation.LeastSquares(site.Weight, kept, set.Get<ChannelMoments>(), set.Get<Hessian>());
            target.Weight = refit.Weight;
            target.Bias!.add_(refit.Bias);
            if (refit.Error is { } error) errors.Add(site.Role, error);
        }
        return errors;
    }

    /// <summary>The activations in front of a block: as they were, or as the parts that are finished left them.</summary>
    private Activations Resume(int before)
    {
        var embedded = Activations.Embed(job.Source, job.Model, job.Windows, job.Forward, job.Cancellation);
        var kept = removal.KeptBlocks.Index().ToDictionary(k => k.Item, k => k.Index);
        for (var i = 0; i < before; i++)
        {
            var bias = method.Compensation == Compensation.Bias;
            if (!bias && !kept.ContainsKey(i)) continue;
            using var source = new StreamedTensors(bias ? job.Source : result);
            using var block = Block.Load(
                source, bias ? job.Model.Blocks[i] : removal.Spec.Blocks[kept[i]], job.Forward.Compute, job.Forward.Device, tables);
            embedded.Advance(block);
        }
        return embedded;
    }

    /// <summary>Inputs of an output projection that remain.</summary>
    private int[] Kept(SiteRole role, int block, int inputs)
    {
        var width = role == SiteRole.Down ? 1 : inputs / job.Model.Blocks[block].Attention!.KeyValueHeads;
        return [.. Enumerable.Range(0, inputs).Where(i => !removed.Contains(role == SiteRole.Down
            ? CoupledGroup.MlpChannel(block, i)
            : CoupledGroup.KeyValueHead(block, i / width)))];
    }

    private void Write(string path, Block smaller, int old)
    {
        var oldPrefix = job.Model.Blocks[old].Prefix + ".";
        var types = job.Source.Tensors.Values.Where(t => t.Name.StartsWith(oldPrefix, StringComparison.Ordinal))
            .ToDictionary(t => smaller.Spec.Prefix + "." + t.Name[oldPrefix.Length..], t => t.Type, StringComparer.Ordinal);
        // A bias that the original has not gets the type of its block's weights.
        var common = types.Values.GroupBy(t => t).MaxBy(g => g.Count())!.Key;
        var tensors = smaller.StoredTensors()
            .Select(t => (TensorInfo.Of(t.Name, types.GetValueOrDefault(t.Name, common), t.Value.shape), t.Value)).ToList();
        PartFile.WriteWhole(path, tensors, [.. smaller.Sites.Select(s => (s.Name, (EncodedWeight?)null))]);
    }

    private IEnumerable<SiteReport> Reports(
        Block before, Block after, int old, int index, Dictionary<SiteRole, double> energies, Dictionary<SiteRole, double> errors)
    {
        foreach (var site in after.Sites)
        {
            var original = before.Sites.First(s => s.Role == site.Role);
            var whole = Energy(original.Weight);
            yield return new SiteReport
            {
                Stage = job.Number,
                Method = job.Stage.Method.Attribute.Name,
                Site = site.Name,
                Role = site.Role,
                Block = index,
                Rows = site.Spec.OutFeatures,
                Columns = site.Spec.InFeatures,
                Zeros = 1 - site.Weight.count_nonzero().item<long>() / (double)site.Weight.numel(),
                WeightError = SiteErrors.Ratio(Math.Max(0, whole - energies[site.Role]), whole),
                OutputError = errors.TryGetValue(site.Role, out var error) ? error : null,
                Notes = old == index ? [] : [string.Create(CultureInfo.InvariantCulture, $"Block {old} of the model before the stage.")],
            };
        }
    }

    private static double Energy(Tensor weight) => weight.to(ScalarType.Float64).square().sum().item<double>();

    private void Finish(string part, string path, long start, IReadOnlyList<SiteReport> reports)
    {
        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        job.Journal.Append(new PartFinished(job.Number, part, RunInputs.Hash(path), new FileInfo(path).Length, seconds, reports));
    }

    /// <summary>The stage's invariant: its checkpoint holds exactly the tensors that the smaller model's configuration implies.</summary>
    private void RequireShapes()
    {
        foreach (var (name, shape) in SpecTensors.Expected(removal.Spec))
        {
            if (!result.Tensors.TryGetValue(name, out var info) || !info.Shape.AsSpan().SequenceEqual(shape.AsSpan()))
                throw new InvalidOperationException($"{job.Title} left {name} missing or of another shape.");
        }
    }
}
