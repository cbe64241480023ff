using Compress.Core.Pipeline;
using Compress.Core.Recipes;
using Compress.Core.Runs;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;

namespace Compress.Core.Export;

/// <summary>Writes a compressed model for others to read, and checks what it wrote with a reader that shares nothing with the writer.</summary>
/// <param name="original">The model that was compressed; gives configuration and tokenizer files.</param>
/// <param name="checkpoint">The compressed tensors.</param>
/// <param name="sites">The compressed sites, for the figures.</param>
internal sealed class CheckpointExporter(ModelFolder original, ITensorSource checkpoint, IReadOnlyList<SelectableSite> sites)
{
    /// <summary>Writes, re-opens and checks a checkpoint.</summary>
    /// <param name="export">Format and folder.</param>
    /// <param name="target">The folder's full path; replaced where an earlier attempt left it.</param>
    /// <param name="cancellation">Checked between tensors.</param>
    /// <exception cref="ExportException">The checkpoint cannot be expressed in the format, or reads back differently.</exception>
    public ExportResult Export(ExportRecipe export, string target, CancellationToken cancellation)
    {
        WriteDense(target, cancellation);
        using var reopened = ModelFolder.Open(target);
        RequireSameLogits(target, reopened.Tensors, reopened.Spec);
        var files = Directory.GetFiles(target).Order(StringComparer.Ordinal).ToList();
        var bytes = files.Where(f => f.EndsWith(".safetensors", StringComparison.Ordinal)).Sum(f => new FileInfo(f).Length);
        var figures = StorageFigures.Measure(bytes, reopened.Tensors.Tensors, reopened.Tensors, reopened.Spec, sites);
        return new ExportResult(export.Format, target, figures, files.ToDictionary(f => Path.GetFileName(f), f => RunInputs.Hash(f)));
    }

    private void WriteDense(string target, CancellationToken cancellation)
    {
        var head = original.Spec.Head;
        // A tied head may be stored all the same; it is written once, as the token table.
        var copyOfTable = head.Tied && head.Linear.Weight.Tensor != head.Linear.Name + ".weight" ? head.Linear.Name + ".weight" : null;
        TensorInfo[] tensors = [.. checkpoint.Tensors.Values.Where(t => t.Name != copyOfTable)];
        using var writer = HuggingFaceFolderWriter.Create(target, original.Config, tensors, new FolderWriterOptions { Overwrite = true });
        writer.CopySupportFiles(original);
        foreach (var tensor in tensors)
        {
            cancellation.ThrowIfCancellationRequested();
            writer.Write(tensor.Name, checkpoint.Open(tensor.Name));
            checkpoint.Release(tensor.Name);
        }
        writer.Complete();
    }

    private void RequireSameLogits(string target, ITensorSource reopened, ModelSpec reopenedSpec)
    {
        var expected = PromptLogits.Compute(checkpoint, original.Spec);
        var written = PromptLogits.Compute(reopened, reopenedSpec);
        if (expected.AsSpan().SequenceEqual(written)) return;
        throw new ExportException(target, "reads back with other logits than the run's result.",
            "The disk or the memory may be faulty; run again with --resume.");
    }
}
