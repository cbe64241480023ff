using System.Text;

namespace Compress.Formats.Tokenizers.SentencePiece;

/// <summary>A SentencePiece <c>.model</c> (Kudo and Richardson 2018, arXiv 1808.06226), as the library of that name applies it.</summary>
/// <remarks>
/// Control pieces written in a text are ordinary text. The file does not say what surrounds a sequence, so that comes from
/// <c>add_bos_token</c> and <c>add_eos_token</c> of a <c>tokenizer_config.json</c> beside it; without those the beginning piece is put
/// before a text where the model has one (Llama, Mistral), else the ending piece after it (T5).
/// </remarks>
sealed class SentencePieceTokenizer : Tokenizer
{
    readonly string file;
    readonly SentencePieceModel model;
    readonly SentencePieceNormalizer normalizer;
    readonly SentencePieceNormalizer? denormalizer;
    readonly ISegmenter segmenter;
    readonly Dictionary<string, int> ids = [];
    readonly int unknownId;
    readonly int[] byteIds = new int[256];
    readonly bool addBos;
    readonly bool addEos;

    internal SentencePieceTokenizer(string file, SentencePieceModel model) : this(file, model, SequenceSettings.Read(file)) { }

    internal SentencePieceTokenizer(string file, SentencePieceModel model, SequenceSettings settings)
    {
        (this.file, this.model) = (file, model);
        for (var id = 0; id < model.Pieces.Count; id++)
        {
            var piece = model.Pieces[id];
            ids.TryAdd(piece.Text, id);
            if (piece.Kind == PieceKind.Unknown) unknownId = id;
            if (piece.Kind == PieceKind.Byte && ByteToken.TryParse(piece.Text, out var value)) byteIds[value] = id;
        }
        string[] symbols = [.. model.Pieces.Where(p => p.Kind == PieceKind.UserDefined).Select(p => p.Text)];
        var userDefined = symbols.Length == 0 ? null : new LiteralMatcher(symbols);
        normalizer = new SentencePieceNormalizer(model.CharsMap, userDefined, model.AddDummyPrefix, model.RemoveExtraSpaces,
            model.EscapeSpaces, model.SpaceAsSuffix);
        if (model.DecodingCharsMap is { } map)
        {
            denormalizer = new SentencePieceNormalizer(map, null, dummyPrefix: false, removeExtraSpaces: false, escapeSpaces: false, spaceAsSuffix: false);
        }
        segmenter = Segmenters.Create(model, ids, unknownId, userDefined);
        BosId = ControlId(model.BosPiece);
        EosId = ControlId(model.EosPiece);
        addBos = BosId is not null && (settings.AddBos ?? true);
        addEos = EosId is not null && (settings.AddEos ?? BosId is null);
    }

    /// <inheritdoc/>
    public override int VocabularySize => model.Pieces.Count;

    /// <inheritdoc/>
    public override int? BosId { get; }

    /// <inheritdoc/>
    public override int? EosId { get; }

    /// <inheritdoc/>
    public override string? TokenOf(int id) => (uint)id < (uint)model.Pieces.Count ? model.Pieces[id].Text : null;

    /// <inheritdoc/>
    public override int? IdOf(string token) => ids.TryGetValue(token, out var id) ? id : null;

    /// <inheritdoc/>
    public override void Encode(string text, List<int> output, bool addSpecialTokens = true)
    {
        if (addSpecialTokens && addBos) output.Add(BosId!.Value);
        var normalized = Normalized(normalizer, UnicodeText.WellFormed(text));
        var afterUnknown = false;
        foreach (var (start, length, id) in segmenter.Segment(normalized))
        {
            if (id == unknownId && model.ByteFallback) AddBytes(normalized.AsSpan(start, length), output);
            else if (id != unknownId || !afterUnknown) output.Add(id);
            afterUnknown = id == unknownId;
        }
        if (addSpecialTokens && addEos) output.Add(EosId!.Value);
    }

    void AddBytes(ReadOnlySpan<char> text, List<int> output)
    {
        Span<byte> buffer = stackalloc byte[4];
        foreach (var rune in text.EnumerateRunes())
        {
            foreach (var b in buffer[..rune.EncodeToUtf8(buffer)]) output.Add(byteIds[b]);
        }
    }

    /// <inheritdoc/>
    public override string Decode(ReadOnlySpan<int> input, bool skipSpecialTokens = true)
    {
        var text = new StringBuilder(input.Length * 4);
        var bytes = new List<byte>();
        // Whether the next piece may lose the space that the dummy prefix gave it.
        var atStart = model.AddDummyPrefix || model.RemoveExtraSpaces;
        foreach (var id in input)
        {
            if ((uint)id >= (uint)model.Pieces.Count) continue;
            var piece = model.Pieces[id];
            if (piece.Kind == PieceKind.Byte && ByteToken.TryParse(piece.Text, out var value))
            {
                bytes.Add(value);
                continue;
            }
            Flush(bytes, text);
            atStart &= text.Length == 0;
            if (piece.Kind == PieceKind.Control) text.Append(skipSpecialTokens ? "" : piece.Text);
            else if (piece.Kind == PieceKind.Unknown) text.Append(model.UnknownSurface);
            else
            {
                var drops = atStart && piece.Text[0] == SentencePieceNormalizer.Space;
                text.Append((drops ? piece.Text[1..] : piece.Text).Replace(SentencePieceNormalizer.Space, ' '));
                // Where extra spaces are removed, none is left at the start however many there are.
                atStart &= !drops || model.RemoveExtraSpaces;
            }
        }
        Flush(bytes, text);
        return denormalizer is null ? text.ToString() : Normalized(denormalizer, text.ToString());
    }

    string Normalized(SentencePieceNormalizer rules, string text)
    {
        try
        {
            return rules.Normalize(text);
        }
        catch (FormatException e)
        {
            throw new ModelFileException(file, $"{e.Message}.", inner: e);
        }
    }

    // SentencePiece gives one U+FFFD for every byte that is part of no character.
    static void Flush(List<byte> bytes, StringBuilder text)
    {
        Span<char> pair = stackalloc char[2];
        var rest = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(bytes);
        while (rest.Length > 0)
        {
            var valid = Rune.DecodeFromUtf8(rest, out var rune, out var consumed) == System.Buffers.OperationStatus.Done;
            text.Append(pair[..rune.EncodeToUtf16(pair)]);
            rest = rest[(valid ? consumed : 1)..];
        }
        bytes.Clear();
    }

    int? ControlId(string piece) => ids.TryGetValue(piece, out var id) && model.Pieces[id].Kind == PieceKind.Control ? id : null;
}
