using System.Security.Cryptography;
using System.Text;
using Compress.Formats.Tokenizers;

namespace Compress.Core.Evaluation.Protocols;

/// <summary>
/// Every document on its own, with the tokenizer's special tokens, cut off at the window's length; every token but the first is
/// scored. The measure for sets of short documents (stories, chat turns), which the other protocols would run together.
/// </summary>
internal sealed class DocumentsProtocol : EvaluationProtocol
{
    private const int LongestDefaultWindow = 2048;

    /// <inheritdoc/>
    public override string Name => "documents";

    /// <inheritdoc/>
    public override string Summary => "Every document on its own, cut off at the model's length, every token but the first scored.";

    /// <inheritdoc/>
    public override bool SpecialTokens => true;

    /// <inheritdoc/>
    public override int DefaultWindow(int maxPositions) => Math.Min(maxPositions, LongestDefaultWindow);

    /// <inheritdoc/>
    public override int? Stride(int window) => null;

    /// <inheritdoc/>
    public override TokenizedText Read(IEnumerable<string> documents, Tokenizer tokenizer, string dataset)
    {
        var ids = new List<int>();
        var starts = new List<int>();
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var document in documents)
        {
            starts.Add(ids.Count);
            tokenizer.Encode(document, ids, SpecialTokens);
            hash.AppendData(Encoding.UTF8.GetBytes(document));
        }
        int[] all = [.. ids];
        return new TokenizedText(all, dataset, Convert.ToHexStringLower(hash.GetHashAndReset()), tokenizer)
        {
            LeadingBos = LeadingBos(all, tokenizer),
            DocumentStarts = starts,
        };
    }

    /// <inheritdoc/>
    protected override IEnumerable<ScoredWindow> CutAll(TokenizedText tokens, int window)
    {
        for (var i = 0; i < tokens.DocumentStarts.Count; i++)
        {
            var start = tokens.DocumentStarts[i];
            var end = i + 1 < tokens.DocumentStarts.Count ? tokens.DocumentStarts[i + 1] : tokens.Ids.Length;
            if (end - start >= 2) yield return new ScoredWindow(tokens.Ids[start..Math.Min(end, start + window)], FirstTarget: 1);
        }
    }
}
