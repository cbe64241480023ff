using System.Text.Json;
using System.Text.Json.Nodes;
using Compress.Core.Graph;
using Compress.Core.Pipeline;
using Compress.Core.Progress;
using Compress.Core.Recipes;
using Compress.Core.Runs;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using Compress.Formats.Encodings.Packed;
using Compress.Formats.Gguf;

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
        if (PackedFormat.Find(export.Format, export.Type) is { } packed)
        {
            WritePacked(packed, target, progress, cancellation);
            return Verified(export.Format, target, checkpoint);
        }
        switch (export.Format)
        {
            case "compressed-tensors":
                WriteSparse24(target, progress, cancellation);
                return Verified(export.Format, target, checkpoint);
            case ExportRecipe.OwnFormat:
                WriteEncoded(export.Sparse ?? SparseStorage.Auto, target, progress, cancellation);
                return Verified(export.Format, target, checkpoint);
            case ExportRecipe.GgufFormat:
                return new GgufFileExport(original, model, sites).Write(GgufMixture.Find(export.Type ?? GgufMixture.Usual)!, target, progress, cancellation);
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

    private void WritePacked(PackedFormat format, string target, IProgress<RunEvent> progress, CancellationToken cancellation)
    {
        var modules = Modules(format, target);
        var packed = SiteSelection.All(model.Spec).Join(modules.Where(m => m.Scheme is not null), s => s.Shape.Name, m => m.Name, (s, m) => (s.Spec.Weight.Tensor, Module: m))
            .ToDictionary(p => p.Tensor, p => p.Module, StringComparer.Ordinal);
        if (packed.Count == 0) throw new ExportException(target, "no weight of the result is quantized.", "Use format: hf.");
        if (format.Unfit(modules) is { } problem) throw new ExportException(target, problem, "Use another format or scheme.");
        var dense = Exported(checkpoint).ToList();
        var tensors = dense.SelectMany(t => packed.TryGetValue(t.Name, out var module)
            ? format.Describe(module.Name, module.Rows, module.Columns, module.Scheme!)
            : [t]).ToList();
        using var writer = Begin(target, tensors, format.Config(modules));
        foreach (var (i, tensor) in dense.Index())
        {
            cancellation.ThrowIfCancellationRequested();
            if (packed.TryGetValue(tensor.Name, out var module))
            {
                foreach (var part in Pack(format, module.Name, target)) writer.Write(part.Info.Name, part.Bytes);
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

    /// <summary>Every linear module, with its scheme where it is quantized.</summary>
    private List<PackedModule> Modules(PackedFormat format, string target)
    {
        var modules = new List<PackedModule>();
        foreach (var site in SiteSelection.All(model.Spec))
        {
            var scheme = stages?.SchemeOf(site.Shape.Name);
            if (scheme is null && stages?.IsEncoded(site.Shape.Name) == true)
                throw new ExportException(target, $"{site.Shape.Name}: {format.Name} stores integers in groups only.", "Use format: compress or hf.");
            if (scheme is not null && (site.Spec.Weight is not { Transposed: false, Rows: null } || site.Shape.Role == SiteRole.Embedding))
            {
                throw new ExportException(target,
                    $"{site.Shape.Name}: {format.Name} packs whole linear modules; this weight is stored transposed, fused with others, or a table.",
                    "Use format: hf.");
            }
            if (site.Shape.Role == SiteRole.Embedding || (model.Spec.Head.Tied && site.Shape.Role == SiteRole.Head)) continue;
            modules.Add(new PackedModule(site.Spec.Name, site.Spec.OutFeatures, site.Spec.InFeatures, scheme));
        }
        return modules;
    }

    private IReadOnlyList<PackedTensor> Pack(PackedFormat format, string site, string target)
    {
        try { return format.Pack(site, (GroupQuantizedWeight)stages!.ReadEncoded(site)!); }
        catch (ArgumentException e) { throw new ExportException(target, $"{site}: {e.Message}.", "Use another format."); }
    }

    private void WriteEncoded(SparseStorage sparse, string target, IProgress<RunEvent> progress, CancellationToken cancellation)
    {
        var export = new EncodedExport(checkpoint, stages, model.Spec, sites, sparse, target);
        var config = new EncodedConfig();
        WriteTwice(target, Pack, () => config.IsEmpty ? null : config.ToJson(), progress, cancellation);

        IReadOnlyList<PackedTensor>? Pack(TensorInfo tensor, bool declaring)
        {
            if (export.Encode(tensor) is not { } weight) return null;
            if (declaring) config.Add(tensor.Name, weight);
            return EncodedFormat.Pack(tensor.Name, weight);
        }
    }

    private void WriteSparse24(string target, IProgress<RunEvent> progress, CancellationToken cancellation)
    {
        var export = new Sparse24Export(checkpoint, stages, model.Spec, target);
        WriteTwice(target, export.Pack, export.Config, progress, cancellation);
    }

    /// <summary>Packs every tensor twice, to declare its parts and to write them: what is held at once is one weight.</summary>
    /// <param name="target">The folder.</param>
    /// <param name="pack">The parts of a tensor, null where it is stored as it is; told whether they are to be declared.</param>
    /// <param name="config">The configuration, after all were declared.</param>
    /// <param name="progress">Takes the number of tensors written.</param>
    /// <param name="cancellation">Checked between tensors.</param>
    private void WriteTwice(
        string target, Func<TensorInfo, bool, IReadOnlyList<PackedTensor>?> pack, Func<JsonObject?> config, IProgress<RunEvent> progress,
        CancellationToken cancellation)
    {
        var declared = new List<TensorInfo>();
        TensorInfo[] all = [.. Exported(checkpoint)];
        foreach (var tensor in all)
        {
            cancellation.ThrowIfCancellationRequested();
            declared.AddRange(pack(tensor, true)?.Select(p => p.Info) ?? [tensor]);
            checkpoint.Release(tensor.Name);
        }
        using var writer = Begin(target, declared, config());
        foreach (var (i, tensor) in all.Index())
        {
            cancellation.ThrowIfCancellationRequested();
            if (pack(tensor, false) is { } parts)
            {
                foreach (var part in parts) writer.Write(part.Info.Name, part.Bytes);
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
