using System.Security.Cryptography;
using System.Text;
using Compress.Core.Evaluation.Protocols;
using Compress.Formats.Tokenizers;

namespace Compress.Core.Evaluation;

/// <summary>
/// A rule that fixes a perplexity: how documents become one text, where special tokens go, how windows are cut and which of their
/// tokens count. Numbers of different protocols cannot be compared. Definitions: <c>docs/evaluation.md</c>.
/// </summary>
public abstract class EvaluationProtocol
{
    /// <summary>The least number of tokens of which every protocol scores at least one.</summary>
    private const int SmallestWindow = 4;

    /// <summary>Name in recipes and reports, snake_case.</summary>
    public abstract string Name { get; }

    /// <summary>One sentence for help texts.</summary>
    public abstract string Summary { get; }

    /// <summary>Whether special tokens are added as the tokenizer's file says.</summary>
    public abstract bool SpecialTokens { get; }

    /// <summary>Every protocol, in the order of the documentation.</summary>
    public static IReadOnlyList<EvaluationProtocol> All { get; } =
    [
        new GptqProtocol(specialTokens: true), new GptqProtocol(specialTokens: false),
        new LlamaCppProtocol(specialTokens: true), new LlamaCppProtocol(specialTokens: false),
        new DocumentsProtocol(),
    ];

    /// <summary>The protocol of a name.</summary>
    /// <exception cref="EvaluationException">There is none; the names are given.</exception>
    public static EvaluationProtocol Find(string name) => All.FirstOrDefault(p => p.Name == name)
        ?? throw new EvaluationException($"There is no evaluation protocol '{name}'; there are {string.Join(", ", All.Select(p => p.Name))}.");

    /// <summary>Window used where none is asked for.</summary>
    /// <param name="maxPositions">The model's longest trained context.</param>
    public abstract int DefaultWindow(int maxPositions);

    /// <summary>Tokens from the beginning of a window to that of the next; null where windows follow documents.</summary>
    /// <param name="window">Tokens of a window.</param>
    public abstract int? Stride(int window);

    /// <summary>Tokenises a dataset.</summary>
    /// <param name="documents">The dataset's documents in order.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="dataset">Name of the dataset for reports.</param>
    public abstract TokenizedText Read(IEnumerable<string> documents, Tokenizer tokenizer, string dataset);

    /// <summary>Cuts the windows to score.</summary>
    /// <param name="tokens">A text that <see cref="Read"/> of this protocol made.</param>
    /// <param name="window">Tokens of a window.</param>
    /// <param name="maxWindows">Keep at most this many, the first ones; null for all.</param>
    /// <exception cref="EvaluationException">The text does not fill one window.</exception>
    public IReadOnlyList<ScoredWindow> Cut(TokenizedText tokens, int window, int? maxWindows = null)
    {
        if (window < SmallestWindow) throw new EvaluationException($"A window of {window} tokens is too small: use at least {SmallestWindow}.");
        var windows = CutAll(tokens, window).Take(maxWindows ?? int.MaxValue).ToList();
        if (windows.Count > 0) return windows;
        throw new EvaluationException(
            $"{tokens.Dataset} has {tokens.Ids.Length} tokens, which does not fill one window of {window} tokens for protocol {Name}: "
            + "use a longer text or a smaller window.");
    }

    /// <summary>Tokenises one text.</summary>
    /// <param name="text">The whole text.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="dataset">Name of the dataset for reports.</param>
    protected TokenizedText ReadText(string text, Tokenizer tokenizer, string dataset)
    {
        var ids = tokenizer.Encode(text, SpecialTokens);
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
        return new TokenizedText(ids, dataset, sha256, tokenizer) { LeadingBos = LeadingBos(ids, tokenizer) };
    }

    /// <summary>The windows of the whole text, in order.</summary>
    /// <param name="tokens">The text.</param>
    /// <param name="window">Tokens of a window.</param>
    protected abstract IEnumerable<ScoredWindow> CutAll(TokenizedText tokens, int window);

    /// <summary>The token at the start where it is the tokenizer's beginning of sequence, otherwise null.</summary>
    /// <param name="ids">Encoded text.</param>
    /// <param name="tokenizer">The tokenizer that encoded it.</param>
    protected static int? LeadingBos(ReadOnlySpan<int> ids, Tokenizer tokenizer) =>
        ids.Length > 0 && ids[0] == tokenizer.BosId ? ids[0] : null;
}
