namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>The pipeline of a <c>tokenizer.json</c>: added tokens, normalizer, pre-tokenizer, model, post-processor; decoder back.</summary>
/// <remarks>
/// Two deliberate differences from version 0.23 of the library. Decoding shows an added token as the file writes it and leaves out every
/// special one; the library normalizes tokens marked <c>normalized</c> first, which garbles some and lets Llama 2's <c>&lt;s&gt;</c>
/// through. And marks that Unicode gained after the library's tables (its versions 9 to 14) are marks here too.
/// </remarks>
sealed class HuggingFaceTokenizer : Tokenizer
{
    static readonly string[] BosNames = ["<|bos|>", "<bos>", "<s>", "<|begin_of_text|>", "<|startoftext|>"];
    static readonly string[] EosNames = ["<|eos|>", "<eos>", "</s>", "<|end_of_text|>", "<|endoftext|>"];
    readonly string file;
    readonly AddedVocabulary added;
    readonly Normalizer? normalizer;
    readonly PreTokenizer? preTokenizer;
    readonly IModel model;
    readonly PostProcessor post;
    readonly Decoder? decoder;

    internal HuggingFaceTokenizer(
        string file, AddedVocabulary added, Normalizer? normalizer, PreTokenizer? preTokenizer, IModel model, PostProcessor post,
        Decoder? decoder, SpecialNames names)
    {
        (this.file, this.added, this.normalizer, this.preTokenizer) = (file, added, normalizer, preTokenizer);
        (this.model, this.post, this.decoder) = (model, post, decoder);
        VocabularySize = Math.Max(model.Vocabulary.Size, added.Size);
        foreach (var id in post.Before.Concat(post.After).Where(id => id >= VocabularySize))
        {
            throw new ModelFileException(file, $"$.post_processor: id {id} is outside the vocabulary of {VocabularySize}.");
        }
        BosId = Resolve(names.Bos, BosNames);
        EosId = Resolve(names.Eos, EosNames);
    }

    /// <inheritdoc/>
    public override int VocabularySize { get; }

    /// <inheritdoc/>
    public override int? BosId { get; }

    /// <inheritdoc/>
    public override int? EosId { get; }

    /// <inheritdoc/>
    public override string? TokenOf(int id) => added.Find(id)?.Content ?? model.Vocabulary.TokenOf(id);

    /// <inheritdoc/>
    public override int? IdOf(string token) =>
        added.IdOf(token) ?? (model.Vocabulary.TryGetId(token, out var id) ? id : null);

    /// <inheritdoc/>
    public override void Encode(string text, List<int> ids, bool addSpecialTokens = true)
    {
        if (addSpecialTokens) ids.AddRange(post.Before);
        try
        {
            var well = UnicodeText.WellFormed(text);
            added.SplitRaw(well, (start, length, token) =>
            {
                if (token is not null) ids.Add(token.Id);
                else EncodeSegment(well.Substring(start, length), start == 0, ids);
            });
        }
        catch (FormatException e)
        {
            throw new ModelFileException(file, $"{e.Message}.", inner: e);
        }
        if (addSpecialTokens) ids.AddRange(post.After);
    }

    void EncodeSegment(string segment, bool first, List<int> ids)
    {
        var text = normalizer?.Normalize(segment) ?? segment;
        added.SplitNormalized(text, (start, length, token) =>
        {
            if (token is not null) ids.Add(token.Id);
            else EncodePiece(new Piece(text.Substring(start, length), first && start == 0), ids);
        });
    }

    void EncodePiece(Piece piece, List<int> ids)
    {
        if (preTokenizer is null)
        {
            model.Tokenize(piece.Text, ids);
            return;
        }
        var parts = new List<Piece>();
        preTokenizer.Split(piece, parts);
        foreach (var part in parts) model.Tokenize(part.Text, ids);
    }

    /// <inheritdoc/>
    public override string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true)
    {
        var tokens = new List<string>(ids.Length);
        foreach (var id in ids)
        {
            if (skipSpecialTokens && added.Find(id) is { Special: true }) continue;
            if (TokenOf(id) is { } token) tokens.Add(token);
        }
        try
        {
            return decoder is null ? string.Join(' ', tokens) : string.Concat(decoder.Decode(tokens));
        }
        catch (FormatException e)
        {
            throw new ModelFileException(file, $"{e.Message}.", inner: e);
        }
    }

    int? Resolve(string? given, string[] usual)
    {
        if (given is not null) return IdOf(given);
        foreach (var name in usual)
        {
            if (added.IdOf(name) is { } id) return id;
        }
        return null;
    }
}
