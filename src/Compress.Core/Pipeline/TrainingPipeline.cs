using System.Diagnostics;
using System.Globalization;
using Compress.Core.Calibration;
using Compress.Core.Evaluation;
using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Runs;
using Compress.Core.Torch;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using static TorchSharp.torch;

namespace Compress.Core.Pipeline;

/// <summary>
/// Runs a stage that trains the model as a whole: loads the student, lets the method train it, writes what changed, and holds it to the
/// masks of earlier stages.
/// </summary>
/// <remarks>
/// Memory is that of the whole model, its gradients and the optimiser. The stage is one part: until it is finished, the method's own
/// checkpoint is what an interrupted run goes on from.
/// </remarks>
internal sealed class TrainingPipeline(StageJob job, ITrainingMethod method)
{
    private const string Part = "model";

    private readonly string path = Path.Combine(job.Folder, Part + ".safetensors");

    /// <summary>Runs the stage, or what is left of it.</summary>
    /// <returns>The model with the trained weights laid over it.</returns>
    public static ModelState Run(StageJob job, ITrainingMethod method)
    {
        var pipeline = new TrainingPipeline(job, method);
        if (!job.Journal.Entries.OfType<PartFinished>().Any(e => e.Stage == job.Number)) pipeline.Train();
        var result = new StageCheckpoint(job.Source, job.Model);
        try
        {
            result.Add(pipeline.path);
            return job.Input with { Tensors = result };
        }
        catch
        {
            result.Dispose();
            throw;
        }
    }

    private void Train()
    {
        var start = Stopwatch.GetTimestamp();
        using var scope = NewDisposeScope();
        using var source = new StreamedTensors(job.Source);
        using var student = ModelGraph.Load(source, job.Model, ScalarType.Float32, job.Forward.Device);
        using var before = ModelGraph.Load(source, job.Model, ScalarType.Float32, CPU);
        var folder = Path.Combine(job.Scratch, string.Create(CultureInfo.InvariantCulture, $"{job.Number:00}"));
        var trained = Trained(Study(student, folder));
        using var _ = no_grad();
        RequireSound(student, before, trained);
        Write(student, trained);
        Finish(start, [.. Reports(student, before, trained)]);
        foreach (var file in Directory.EnumerateFiles(folder, "*.bin").ToList()) File.Delete(file);
    }

    private TrainedModel Trained(TrainingStudy study)
    {
        NativeHeap.KeepFreedMemory();
        try
        {
            return method.Train(study);
        }
        finally
        {
            NativeHeap.ReturnLargeBlocks();
        }
    }

    private TrainingStudy Study(ModelGraph student, string folder)
    {
        var selected = SiteSelection.Select(job.Model, job.Stage).Select(s => s.Shape.Name).ToHashSet(StringComparer.Ordinal);
        var earlier = job.Journal.Entries.OfType<PartFinished>().Where(e => e.Stage < job.Number).Select(e => e.Sha256);
        return new TrainingStudy
        {
            Student = student,
            Original = job.Original,
            Selected = selected,
            Masks = job.Stage.KeepSparsity ? Masks(student) : new Dictionary<string, Tensor>(),
            ReadEncoded = name => job.Input.Stages?.ReadEncoded(name),
            Device = job.Forward.Device,
            Seed = Seeds.Derive(job.Seed, FormattableString.Invariant($"stage {job.Number}")),
            Title = job.Title,
            Folder = folder,
            Fingerprint = string.Join('\n', earlier),
            Progress = job.Progress,
            Cancellation = job.Cancellation,
        };
    }

    /// <summary>Masks of the sites that have zeros.</summary>
    private static Dictionary<string, Tensor> Masks(ModelGraph student)
    {
        using var _ = no_grad();
        var masks = student.Sites.Select(s => (s.Name, Mask: s.Weight.ne(0))).ToList();
        return masks.Where(m => !m.Mask.all().item<bool>()).ToDictionary(m => m.Name, m => m.Mask, StringComparer.Ordinal);
    }

    /// <summary>The stage's invariants: finite weights, exact encodings, and zeros where they were promised to stay.</summary>
    private void RequireSound(ModelGraph student, ModelGraph before, TrainedModel trained)
    {
        foreach (var site in student.Sites.Where(s => trained.Encoded.ContainsKey(s.Name)))
        {
            using var scope = NewDisposeScope();
            if (!WeightScan.IsDecodeOf(site.Weight.cpu(), trained.Encoded[site.Name]))
                throw new InvalidOperationException($"{job.Title} left {site.Name} other than its codes decode to.");
        }
        foreach (var (name, value) in student.NamedParameters)
        {
            using var scope = NewDisposeScope();
            if (!value.isfinite().all().item<bool>()) throw new InvalidOperationException($"{job.Title} left {name} not finite.");
        }
        if (!job.Stage.KeepSparsity) return;
        foreach (var (after, was) in student.Sites.Zip(before.Sites))
        {
            using var scope = NewDisposeScope();
            if (was.Weight.eq(0).logical_and(after.Weight.cpu().ne(0)).any().item<bool>())
                throw new InvalidOperationException($"{job.Title} revived weights of {after.Name} that an earlier stage removed.");
        }
    }

    private void Write(ModelGraph student, TrainedModel trained)
    {
        // A fused tensor is stored whole when one of its parts was trained.
        var sites = student.Sites.Where(s => trained.Parameters.Contains(s.WeightName)).ToList();
        var dense = sites.Where(s => !trained.Encoded.ContainsKey(s.Name)).Select(s => s.Spec.Weight.Tensor);
        var biases = student.Sites.Where(s => s.BiasName is { } name && trained.Parameters.Contains(name)).Select(s => s.Spec.Bias!.Tensor);
        var others = trained.Parameters.Except(sites.Select(s => s.WeightName));
        var names = dense.Concat(biases).Concat(others).ToHashSet(StringComparer.Ordinal);
        var tensors = student.StoredTensors().Where(t => names.Contains(t.Name))
            .Select(t => (TensorInfo.Of(t.Name, job.Source.Tensors[t.Name].Type, t.Value.shape), t.Value)).ToList();
        Directory.CreateDirectory(job.Folder);
        PartFile.WriteWhole(path, tensors, [.. sites.Select(s => (s.Name, trained.Encoded.GetValueOrDefault(s.Name)))]);
    }

    private IEnumerable<SiteReport> Reports(ModelGraph student, ModelGraph before, TrainedModel trained)
    {
        var blocks = SiteSelection.All(job.Model).ToLookup(s => s.Shape.Name, s => s.Block);
        foreach (var (after, was) in student.Sites.Zip(before.Sites))
        {
            if (!trained.Parameters.Contains(after.WeightName)) continue;
            using var scope = NewDisposeScope();
            var comparison = WeightScan.Compare(was.Weight, after.Weight.detach().cpu().contiguous());
            var encoded = trained.Encoded.GetValueOrDefault(after.Name);
            yield return new SiteReport
            {
                Stage = job.Number,
                Method = job.Stage.Method.Attribute.Name,
                Site = after.Name,
                Role = after.Role,
                Block = blocks[after.Name].First(),
                Rows = after.Spec.OutFeatures,
                Columns = after.Spec.InFeatures,
                Zeros = comparison.Zeros / (double)after.Weight.numel(),
                Bits = encoded?.CodeBits,
                GroupSize = (encoded as GroupQuantizedWeight)?.GroupSize,
                BitsPerWeight = 8.0 * encoded?.StoredBytes / after.Weight.numel(),
                WeightError = SiteErrors.Ratio(comparison.ErrorSquared, comparison.NormSquared),
            };
        }
    }

    private void Finish(long start, IReadOnlyList<SiteReport> reports)
    {
        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        job.Journal.Append(new PartFinished(job.Number, Part, RunInputs.Hash(path), new FileInfo(path).Length, seconds, reports));
    }
}
