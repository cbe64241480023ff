namespace Compress.Formats.Tokenizers;

/// <summary>Turns text into token ids and back, exactly as the implementation that defines the file's format does.</summary>
/// <remarks>
/// Instances are safe to use from several threads. Text is Unicode; a lone surrogate is read as U+FFFD. Truncation and padding
/// settings of a <c>tokenizer.json</c> are not applied: how long a sequence may be is the caller's decision.
/// </remarks>
public abstract class Tokenizer
{
    /// <summary>One more than the largest token id, added and special tokens included.</summary>
    public abstract int VocabularySize { get; }

    /// <summary>The id that begins a sequence, or null where the tokenizer has none.</summary>
    public abstract int? BosId { get; }

    /// <summary>The id that ends a sequence, or null where the tokenizer has none.</summary>
    public abstract int? EosId { get; }

    /// <summary>Encodes a text.</summary>
    /// <param name="text">The text; special tokens written in it are recognised only by <c>tokenizer.json</c> files.</param>
    /// <param name="addSpecialTokens">Whether to add what the file puts around a sequence (such as the first token of Llama).</param>
    /// <returns>The token ids, each in [0, <see cref="VocabularySize"/>).</returns>
    /// <exception cref="ModelFileException">The file's own rules take unreasonable time or space on this text.</exception>
    public int[] Encode(string text, bool addSpecialTokens = true)
    {
        var ids = new List<int>(text.Length / 3 + 4);
        Encode(text, ids, addSpecialTokens);
        return [.. ids];
    }

    /// <summary>Encodes a text and appends the ids to a list.</summary>
    /// <param name="text">The text.</param>
    /// <param name="ids">Receives the ids.</param>
    /// <param name="addSpecialTokens">Whether to add what the file puts around a sequence.</param>
    /// <exception cref="ModelFileException">The file's own rules take unreasonable time or space on this text.</exception>
    public abstract void Encode(string text, List<int> ids, bool addSpecialTokens = true);

    /// <summary>Turns ids back into text; ids outside the vocabulary give nothing, invalid UTF-8 gives U+FFFD.</summary>
    /// <param name="ids">The token ids.</param>
    /// <param name="skipSpecialTokens">Whether special tokens give nothing.</param>
    /// <returns>The text.</returns>
    /// <exception cref="ModelFileException">The file's own rules take unreasonable space on this text.</exception>
    public abstract string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true);

    /// <summary>The token of an id as the file writes it (<c>Ġthe</c>, <c>▁the</c>, <c>&lt;0x0A&gt;</c>), or null where the id has none.</summary>
    /// <param name="id">The token id.</param>
    public abstract string? TokenOf(int id);

    /// <summary>The id of a token as the file writes it, or null where there is none.</summary>
    /// <param name="token">The token's own spelling, not ordinary text.</param>
    public abstract int? IdOf(string token);

    /// <summary>Loads a tokenizer.</summary>
    /// <param name="folderOrFile">
    /// A model folder with <c>tokenizer.json</c>, <c>tokenizer.model</c>, <c>spiece.model</c> or <c>tokenizer.bin</c> (the first that
    /// exists is taken), or such a file: Hugging Face JSON, a SentencePiece model, a tiktoken rank file or a llama2.c vocabulary.
    /// </param>
    /// <exception cref="ModelFileException">There is no such file, or it is malformed or not supported.</exception>
    public static Tokenizer Load(string folderOrFile) => TokenizerLoader.Load(folderOrFile);
}
