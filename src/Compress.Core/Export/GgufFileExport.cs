using System.Runtime.InteropServices;
using Compress.Core.Pipeline;
using Compress.Core.Progress;
using Compress.Core.Runs;
using Compress.Formats;
using Compress.Formats.Checkpoints;
using Compress.Formats.Gguf;
using Compress.Runtime.Model;

namespace Compress.Core.Export;

/// <summary>Writes a compressed model as a GGUF file and checks it with the engine.</summary>
/// <param name="original">The model that was compressed; gives name and tokenizer.</param>
/// <param name="model">What the stages made of it.</param>
/// <param name="sites">The compressed sites, for the figures; where empty, every linear of the decoder blocks.</param>
internal sealed class GgufFileExport(ModelFolder original, ModelState model, IReadOnlyList<SelectableSite> sites)
{
    /// <summary>Difference of logits over their size that types of 16 bits and more may make.</summary>
    private const double Tolerance = 0.05;

    /// <summary>Writes, re-opens and checks a file.</summary>
    /// <param name="mixture">What tensors are stored as.</param>
    /// <param name="target">The file's full path.</param>
    /// <param name="progress">Takes the number of tensors written.</param>
    /// <param name="cancellation">Checked between tensors.</param>
    /// <exception cref="ExportException">GGUF cannot express the model, or the engine reads another one.</exception>
    public ExportResult Write(GgufMixture mixture, string target, IProgress<RunEvent> progress, CancellationToken cancellation)
    {
        if (GgufExport.Unfit(model.Spec) is { } problem) throw new ExportException(target, problem, "Use format: hf.");
        var done = 0;
        GgufExport.Write(original, model.Spec, model.Tensors, target, mixture, (_, _) =>
        {
            cancellation.ThrowIfCancellationRequested();
            progress.Report(new PhaseAdvanced(++done));
        });
        Verify(mixture, target);
        // Joined to the path of the export, an empty name is the file itself.
        return new ExportResult("gguf", target, Figures(target), new Dictionary<string, string> { [""] = RunInputs.Hash(target) });
    }

    private void Verify(GgufMixture mixture, string target)
    {
        const string Remedy = "The disk or the memory may be faulty; run again with --resume.";
        var tokens = PromptLogits.Tokens(model.Spec);
        var logits = new float[tokens.Length * model.Spec.VocabularySize];
        try
        {
            using var engine = RuntimeModel.Open(target, new RuntimeOptions { Activations = ActivationPrecision.Full });
            using var session = engine.NewSession(tokens.Length);
            session.ForwardAll(tokens, logits);
        }
        catch (ModelFileException e)
        {
            throw new ExportException(target, $"does not read back: {e.Message}", Remedy);
        }
        if (!Array.TrueForAll(logits, float.IsFinite)) throw new ExportException(target, "reads back with logits that are not finite.", Remedy);
        if (!mixture.IsFloat) return;
        var expected = MemoryMarshal.Cast<byte, float>(PromptLogits.Compute(model.Tensors, model.Spec));
        var (apart, size) = (0.0, 0.0);
        for (var i = 0; i < logits.Length; i++)
        {
            apart += Math.Pow(logits[i] - expected[i], 2);
            size += Math.Pow(expected[i], 2);
        }
        var distance = Math.Sqrt(apart / size);
        if (!(distance < Tolerance)) throw new ExportException(target, FormattableString.Invariant($"reads back with logits that are {distance:P1} away from the run's result."), Remedy);
    }

    private StorageFigures Figures(string target)
    {
        using var file = GgufFile.Open(target);
        var counted = sites.Count > 0 ? sites : [.. SiteSelection.All(model.Spec).Where(s => s.Block is not null)];
        var (bits, elements, zeros) = (0L, 0L, 0L);
        foreach (var stored in counted.Select(s => file.Tensors[GgufNames.Of(s.Spec.Weight.Tensor)]))
        {
            var (rows, rowBytes) = (stored.Shape[0], stored.ByteCount / stored.Shape[0]);
            var line = new float[stored.Shape[1]];
            for (var row = 0L; row < rows; row++)
            {
                GgmlDecoder.Decode(stored.Type, file.Bytes(stored, row * rowBytes, (int)rowBytes), line);
                zeros += line.Count(v => v == 0);
            }
            (bits, elements) = (bits + 8 * stored.ByteCount, elements + rows * line.Length);
        }
        var all = model.Tensors.Tensors.Values.Sum(t => t.ElementCount);
        return new StorageFigures(
            new FileInfo(target).Length, (double)bits / elements, 8.0 * file.Tensors.Values.Sum(t => t.ByteCount) / all, (double)zeros / elements);
    }
}
