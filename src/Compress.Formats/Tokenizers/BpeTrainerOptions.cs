namespace Compress.Formats.Tokenizers;

/// <summary>What <see cref="BpeTrainer"/> is asked for.</summary>
public sealed record BpeTrainerOptions
{
    /// <summary>How many tokens to end with, special tokens and the 256 bytes included.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Tokens that are never split and that decoding leaves out; they get the ids from 0 on, in this order.</summary>
    public IReadOnlyList<string> SpecialTokens { get; init; } = [];

    /// <summary>The special token that begins a sequence, or null. It must be among <see cref="SpecialTokens"/>.</summary>
    public string? BosToken { get; init; }

    /// <summary>The special token that ends a sequence, or null. It must be among <see cref="SpecialTokens"/>.</summary>
    public string? EosToken { get; init; }

    /// <summary>Whether encoding puts <see cref="BosToken"/> before a text (a <c>TemplateProcessing</c> post-processor).</summary>
    public bool PrependBos { get; init; } = true;

    /// <summary>Whether encoding puts <see cref="EosToken"/> after a text.</summary>
    public bool AppendEos { get; init; }

    /// <summary>How often a pair must occur to be merged; 1 merges even what occurs once, which learns the text by heart.</summary>
    public int MinimumFrequency { get; init; } = 2;

    /// <summary>Checks that the options agree with one another.</summary>
    /// <exception cref="ArgumentException">They do not; the message says why.</exception>
    internal void Validate()
    {
        if (VocabularySize < 256 + SpecialTokens.Count || VocabularySize >= Vocabulary.MaximumSize)
        {
            throw new ArgumentException($"a vocabulary of {VocabularySize} cannot hold 256 bytes and {SpecialTokens.Count} special tokens");
        }
        if (SpecialTokens.Any(string.IsNullOrEmpty) || SpecialTokens.Distinct().Count() != SpecialTokens.Count)
        {
            throw new ArgumentException("special tokens must be different and not empty");
        }
        foreach (var token in new[] { BosToken, EosToken })
        {
            if (token is not null && !SpecialTokens.Contains(token)) throw new ArgumentException($"'{token}' is not among the special tokens");
        }
        if (MinimumFrequency < 1) throw new ArgumentException("the minimum frequency must be at least 1");
        if (AppendEos && EosToken is null) throw new ArgumentException("there is no end token to append");
    }
}
