using System.Text.Json;
using System.Text.Json.Nodes;
using Compress.Core.Graph;
using Compress.Core.Pipeline;
using Compress.Core.Progress;
using Compress.Core.Recipes;
using Compress.Core.Runs;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;

namespace Compress.Core.Export;

/// <summary>Writes a compressed model for others to read, and checks what it wrote with a reader that shares nothing with the writer.</summary>
/// <param name="original">The model that was compressed; gives configuration and tokenizer files.</param>
/// <param name="model">What the stages made of it.</param>
/// <param name="sites">The compressed sites, for the figures.</param>
internal sealed class CheckpointExporter(
    ModelFolder original, ModelState model, IReadOnlyList<SelectableSite> sites)
{
    private const string QuantizationKey = "quantization_config";

    private readonly ITensorSource checkpoint = model.Tensors;
    private readonly StageCheckpoint? stages = model.Stages;

    /// <summary>Writes, re-opens and checks a checkpoint.</summary>
    /// <param name="export">Format and folder.</param>
    /// <param name="target">The folder's full path; replaced where an earlier attempt left it.</param>
    /// <param name="progress">Takes the number of tensors written.</param>
    /// <param name="cancellation">Checked between tensors.</param>
    /// <exception cref="ExportException">The checkpoint cannot be expressed in the format, or reads back differently.</exception>
    public ExportResult Export(ExportRecipe export, string target, IProgress<RunEvent> progress, CancellationToken cancellation)
    {
        switch (export.Format)
        {
            case "compressed-tensors":
                WritePacked(target, progress, cancellation);
                return Verified(export.Format, target, checkpoint);
            case ExportRecipe.OwnFormat:
                WriteEncoded(export.Sparse ?? SparseStorage.Auto, target, progress, cancellation);
                return Verified(export.Format, target, checkpoint);
        }
        // What others load as a dense model has the original's element types, so this is what the check compares with.
        using var dense = new RetypedTensors(checkpoint, original.Tensors.Tensors);
        WriteDense(dense, target, progress, cancellation);
        return Verified(export.Format, target, dense);
    }

    private IEnumerable<TensorInfo> Exported(ITensorSource source)
    {
        var head = model.Spec.Head;
        // A tied head may be stored all the same; it is written once, as the token table.
        var copyOfTable = head.Tied && head.Linear.Weight.Tensor != head.Linear.Name + ".weight" ? head.Linear.Name + ".weight" : null;
        return source.Tensors.Values.Where(t => t.Name != copyOfTable);
    }

    private void WriteDense(RetypedTensors dense, string target, IProgress<RunEvent> progress, CancellationToken cancellation)
    {
        TensorInfo[] tensors = [.. Exported(dense)];
        using var writer = Begin(target, tensors, null);
        foreach (var (i, tensor) in tensors.Index())
        {
            cancellation.ThrowIfCancellationRequested();
            writer.Write(tensor.Name, dense.Open(tensor.Name));
            dense.Release(tensor.Name);
            progress.Report(new PhaseAdvanced(i + 1));
        }
        writer.Complete();
    }

    private void WritePacked(string target, IProgress<RunEvent> progress, CancellationToken cancellation)
    {
        var schemes = new SortedDictionary<string, QuantizationScheme?>(StringComparer.Ordinal);
        var modules = new Dictionary<string, LinearSpec>(StringComparer.Ordinal);
        foreach (var site in SiteSelection.All(model.Spec))
        {
            var scheme = stages?.SchemeOf(site.Shape.Name);
            if (scheme is null && stages?.IsEncoded(site.Shape.Name) == true)
                throw new ExportException(target, $"{site.Shape.Name}: compressed-tensors stores integers in groups only.", "Use format: compress or hf.");
            if (scheme is not null) RequireExpressible(target, site, scheme);
            if (site.Shape.Role == SiteRole.Embedding) continue;
            if (model.Spec.Head.Tied && site.Shape.Role == SiteRole.Head) continue;
            schemes[site.Shape.Name] = scheme;
            if (scheme is not null) modules.Add(site.Spec.Weight.Tensor, site.Spec);
        }
        if (modules.Count == 0) throw new ExportException(target, "no weight of the result is quantized.", "Use format: hf.");
        var dense = Exported(checkpoint).ToList();
        var tensors = dense.SelectMany(t => modules.TryGetValue(t.Name, out var spec)
            ? CompressedTensors.Describe(spec.Name, spec.OutFeatures, spec.InFeatures, schemes[spec.Name]!)
            : [t]).ToList();
        using var writer = Begin(target, tensors, CompressedTensorsConfig.For(schemes).ToJson());
        foreach (var (i, tensor) in dense.Index())
        {
            cancellation.ThrowIfCancellationRequested();
            if (modules.TryGetValue(tensor.Name, out var spec))
            {
                foreach (var part in CompressedTensors.Pack(spec.Name, (GroupQuantizedWeight)stages!.ReadEncoded(spec.Name)!)) writer.Write(part.Info.Name, part.Bytes);
            }
            else
            {
                writer.Write(tensor.Name, checkpoint.Open(tensor.Name));
            }
            checkpoint.Release(tensor.Name);
            progress.Report(new PhaseAdvanced(i + 1));
        }
        writer.Complete();
    }

    /// <summary>Encodes every tensor twice, to declare its parts and to write them: what is held at once is one weight.</summary>
    private void WriteEncoded(SparseStorage sparse, string target, IProgress<RunEvent> progress, CancellationToken cancellation)
    {
        var export = new EncodedExport(checkpoint, stages, model.Spec, sites, sparse, target);
        var (config, declared) = (new EncodedConfig(), new List<TensorInfo>());
        TensorInfo[] all = [.. Exported(checkpoint)];
        foreach (var tensor in all)
        {
            cancellation.ThrowIfCancellationRequested();
            if (export.Encode(tensor) is { } weight)
            {
                config.Add(tensor.Name, weight);
                declared.AddRange(EncodedFormat.Pack(tensor.Name, weight).Select(p => p.Info));
            }
            else
            {
                declared.Add(tensor);
            }
            checkpoint.Release(tensor.Name);
        }
        using var writer = Begin(target, declared, config.IsEmpty ? null : config.ToJson());
        foreach (var (i, tensor) in all.Index())
        {
            cancellation.ThrowIfCancellationRequested();
            if (export.Encode(tensor) is { } weight)
            {
                foreach (var part in EncodedFormat.Pack(tensor.Name, weight)) writer.Write(part.Info.Name, part.Bytes);
            }
            else
            {
                writer.Write(tensor.Name, checkpoint.Open(tensor.Name));
            }
            checkpoint.Release(tensor.Name);
            progress.Report(new PhaseAdvanced(i + 1));
        }
        writer.Complete();
    }

    private static void RequireExpressible(string target, SelectableSite site, QuantizationScheme scheme)
    {
        var problem = site.Spec.Weight is { Transposed: false, Rows: null } && site.Shape.Role != SiteRole.Embedding
            ? CompressedTensors.Unfit(site.Shape.InFeatures, scheme)
            : "compressed-tensors packs whole linear modules; this weight is stored transposed, fused with others, or a table.";
        if (problem is not null) throw new ExportException(target, $"{site.Shape.Name}: {problem}", "Use format: hf.");
    }

    private HuggingFaceFolderWriter Begin(string target, IReadOnlyList<TensorInfo> tensors, JsonObject? quantization)
    {
        var config = model.Config.DeepClone().AsObject();
        config.Remove(QuantizationKey);
        if (quantization is not null) config[QuantizationKey] = quantization;
        var element = JsonSerializer.SerializeToElement(config);
        var writer = HuggingFaceFolderWriter.Create(target, element, tensors, new FolderWriterOptions { Overwrite = true });
        writer.CopySupportFiles(original);
        return writer;
    }

    private ExportResult Verified(string format, string target, ITensorSource expected)
    {
        using var reopened = ModelFolder.Open(target);
        if (!PromptLogits.Compute(expected, model.Spec).AsSpan().SequenceEqual(PromptLogits.Compute(reopened.Tensors, reopened.Spec)))
        {
            throw new ExportException(target, "reads back with other logits than the run's result.",
                "The disk or the memory may be faulty; run again with --resume.");
        }
        using var stored = SafetensorsFolder.Map(target);
        var files = Directory.GetFiles(target).Order(StringComparer.Ordinal).ToList();
        var bytes = files.Where(f => f.EndsWith(".safetensors", StringComparison.Ordinal)).Sum(f => new FileInfo(f).Length);
        var figures = StorageFigures.Measure(bytes, stored.Tensors, reopened.Tensors, reopened.Spec, sites);
        return new ExportResult(format, target, figures, files.ToDictionary(f => Path.GetFileName(f), f => RunInputs.Hash(f)));
    }
}
