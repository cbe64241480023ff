using System.Globalization;
using Compress.Core.Progress;
using Compress.Formats.Datasets;
using Compress.Formats.Tokenizers;

namespace Compress.Distill.Data;

/// <summary>Documents of training text as token ids.</summary>
public static class TrainingTokens
{
    /// <summary>Encodes documents, separators included as the tokenizer puts them.</summary>
    /// <param name="documents">The texts.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="most">Stops behind the document with which this many tokens are reached.</param>
    /// <param name="progress">Listener.</param>
    /// <param name="cancellation">Checked between documents.</param>
    public static List<int[]> Encode(
        IEnumerable<string> documents, Tokenizer tokenizer, long most, IProgress<RunEvent>? progress, CancellationToken cancellation)
    {
        progress?.Report(new PhaseStarted("encoding the training text", null, "documents"));
        var encoded = new List<int[]>();
        var tokens = 0L;
        foreach (var document in documents)
        {
            cancellation.ThrowIfCancellationRequested();
            encoded.Add(tokenizer.Encode(document));
            tokens += encoded[^1].Length;
            progress?.Report(new PhaseAdvanced(encoded.Count));
            if (tokens >= most) break;
        }
        progress?.Report(new PhaseEnded(string.Create(CultureInfo.InvariantCulture, $"{tokens:N0} tokens of {encoded.Count} documents")));
        return encoded;
    }

    /// <summary>Documents of a text, JSONL or Parquet file, or of the reference documentation.</summary>
    /// <param name="source">A path, or <see cref="Training.CorpusRecipe.ReferenceDocumentation"/>.</param>
    /// <exception cref="Formats.ModelFileException">The file cannot be read.</exception>
    public static IEnumerable<string> Documents(string source) => source == Training.CorpusRecipe.ReferenceDocumentation
        ? DocumentationCorpus.Build(TargetingPacks.Find()).Documents
        : TextDataset.Open(source);
}
