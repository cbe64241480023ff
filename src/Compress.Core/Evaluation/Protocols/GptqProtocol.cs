using Compress.Formats.Tokenizers;

namespace Compress.Core.Evaluation.Protocols;

/// <summary>
/// The WikiText-2 protocol of GPTQ, SparseGPT and Wanda: one text, tokenised once, cut into consecutive windows of the model's
/// length; every token of a window but its first is scored; the rest of the text that fills no window is dropped.
/// </summary>
/// <remarks>
/// Frantar et al., arXiv:2210.17323, published evaluation code. Special tokens stand only where the tokenizer puts them in the
/// whole text, so at most the first window begins with one. All windows are of one length, so the mean over windows of the
/// windows' means is the mean over tokens.
/// </remarks>
/// <param name="specialTokens">False for the variant without any special token.</param>
internal sealed class GptqProtocol(bool specialTokens) : EvaluationProtocol
{
    /// <summary>The published tables' window; longer contexts are used only where asked for.</summary>
    private const int LongestDefaultWindow = 2048;

    /// <inheritdoc/>
    public override string Name => specialTokens ? "gptq" : "gptq_no_bos";

    /// <inheritdoc/>
    public override string Summary => "Documents joined by an empty line, consecutive windows of the model's length, every token but a "
        + "window's first scored" + (specialTokens ? "; BOS only where the tokenizer puts it, at the start of the text." : "; no BOS.");

    /// <inheritdoc/>
    public override bool SpecialTokens => specialTokens;

    /// <inheritdoc/>
    public override int DefaultWindow(int maxPositions) => Math.Min(maxPositions, LongestDefaultWindow);

    /// <inheritdoc/>
    public override int? Stride(int window) => window;

    /// <inheritdoc/>
    public override TokenizedText Read(IEnumerable<string> documents, Tokenizer tokenizer, string dataset) =>
        ReadText(string.Join("\n\n", documents), tokenizer, dataset);

    /// <inheritdoc/>
    protected override IEnumerable<ScoredWindow> CutAll(TokenizedText tokens, int window)
    {
        for (var start = 0; start + window <= tokens.Ids.Length; start += window)
        {
            yield return new ScoredWindow(tokens.Ids.Slice(start, window), FirstTarget: 1);
        }
    }
}
