using System.Text;
using Compress.Formats.Tokenizers;

namespace Compress.Core.Evaluation;

/// <summary>A text as token ids, made by an <see cref="EvaluationProtocol"/>, from which it cuts its windows.</summary>
public sealed class TokenizedText
{
    private readonly Tokenizer? tokenizer;

    /// <summary>Takes tokens as they are.</summary>
    /// <param name="ids">Token ids in order.</param>
    /// <param name="dataset">Name of the dataset for reports.</param>
    /// <param name="sha256">SHA-256 of the UTF-8 text, lower-case hexadecimal.</param>
    /// <param name="tokenizer">Turns scored tokens back into text, for bits per byte; null where the bytes are unknown.</param>
    public TokenizedText(ReadOnlyMemory<int> ids, string dataset, string sha256, Tokenizer? tokenizer = null)
    {
        Ids = ids;
        Dataset = dataset;
        Sha256 = sha256;
        this.tokenizer = tokenizer;
    }

    /// <summary>Token ids in order.</summary>
    public ReadOnlyMemory<int> Ids { get; }

    /// <summary>Name of the dataset for reports.</summary>
    public string Dataset { get; }

    /// <summary>SHA-256 of the UTF-8 text, lower-case hexadecimal.</summary>
    public string Sha256 { get; }

    /// <summary>The id that the tokenizer put at the very start, or null where it put none.</summary>
    public int? LeadingBos { get; init; }

    /// <summary>Where documents begin in <see cref="Ids"/>; one document beginning at 0 where the protocol joins them.</summary>
    public IReadOnlyList<int> DocumentStarts { get; init; } = [0];

    /// <summary>UTF-8 bytes that a window's scored tokens stand for, or null where no tokenizer is known.</summary>
    /// <remarks>
    /// <c>bytes(decode(window)) − bytes(decode(tokens before the first scored one))</c>. A character that several tokens spell
    /// belongs to the token that completes it; special tokens stand for no bytes.
    /// </remarks>
    /// <param name="window">A window of this text.</param>
    public long? ScoredBytes(ScoredWindow window)
    {
        if (tokenizer is null) return null;
        return CompleteBytes(tokenizer, window.Ids.Span) - CompleteBytes(tokenizer, window.Ids.Span[..window.FirstTarget]);
    }

    private static long CompleteBytes(Tokenizer tokenizer, ReadOnlySpan<int> ids)
    {
        // The decoder turns an unfinished character at the end into replacement characters.
        var text = tokenizer.Decode(ids).AsSpan().TrimEnd('\uFFFD');
        return Encoding.UTF8.GetByteCount(text);
    }
}
