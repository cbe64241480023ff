using System.Text;
using Compress.Formats.Tokenizers;

namespace Compress.Core.Evaluation.Protocols;

/// <summary>
/// The protocol of llama.cpp's <c>perplexity</c> tool: the file's text as it is, consecutive windows of 512 tokens; the first token
/// of every window is overwritten by BOS where the model wants one; only predictions made at positions
/// <c>window / 2 … window − 2</c> count, so each has at least half a window of context.
/// </summary>
/// <remarks>ggml-org/llama.cpp, <c>tools/perplexity</c>, default mode (no stride).</remarks>
/// <param name="specialTokens">False for the variant without any special token.</param>
internal sealed class LlamaCppProtocol(bool specialTokens) : EvaluationProtocol
{
    private const int ToolsDefaultWindow = 512;

    /// <inheritdoc/>
    public override string Name => specialTokens ? "llama_cpp" : "llama_cpp_no_bos";

    /// <inheritdoc/>
    public override string Summary => "The text as it is, consecutive windows of 512 tokens, the second half of each scored"
        + (specialTokens ? "; BOS overwrites each window's first token where the model wants it." : "; no BOS.");

    /// <inheritdoc/>
    public override bool SpecialTokens => specialTokens;

    /// <inheritdoc/>
    public override int DefaultWindow(int maxPositions) => Math.Min(maxPositions, ToolsDefaultWindow);

    /// <inheritdoc/>
    public override int? Stride(int window) => window;

    /// <summary>Documents follow each other, each ended by a line break unless it ends with one: rows of WikiText give its raw file again.</summary>
    /// <param name="documents">The dataset's documents; a text file is one and stays as it is.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="dataset">Name of the dataset for reports.</param>
    public override TokenizedText Read(IEnumerable<string> documents, Tokenizer tokenizer, string dataset)
    {
        var text = new StringBuilder();
        foreach (var document in documents)
        {
            if (text.Length > 0 && text[^1] != '\n') text.Append('\n');
            text.Append(document);
        }
        return ReadText(text.ToString(), tokenizer, dataset);
    }

    /// <inheritdoc/>
    protected override IEnumerable<ScoredWindow> CutAll(TokenizedText tokens, int window)
    {
        for (var start = 0; start + window <= tokens.Ids.Length; start += window)
        {
            var ids = tokens.Ids.Slice(start, window);
            if (tokens.LeadingBos is { } bos && start > 0)
            {
                var own = ids.ToArray();
                own[0] = bos;
                ids = own;
            }
            yield return new ScoredWindow(ids, FirstTarget: window / 2 + 1);
        }
    }
}
