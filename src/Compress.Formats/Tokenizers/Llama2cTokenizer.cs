using System.Buffers.Binary;
using System.Text;

namespace Compress.Formats.Tokenizers;

/// <summary>The <c>tokenizer.bin</c> of llama2.c: a SentencePiece BPE vocabulary as scores and texts (run.c, <c>build_tokenizer</c>).</summary>
/// <remarks>
/// File: the longest token's length as i32, then for every token its score (f32), its length in bytes (i32) and its UTF-8 text. Spaces
/// are plain, tokens 0 to 2 are unknown, begin and end, and byte b is token b + 3. A vocabulary without bytes (of single characters)
/// has text from token 3 on, and what it lacks is unknown, as in SentencePiece without byte fallback.
/// </remarks>
sealed class Llama2cTokenizer : Tokenizer
{
    const int Unknown = 0, FirstByte = 3, Bytes = 256;
    readonly string[] tokens;
    readonly int firstText;
    readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> ids;
    readonly Dictionary<string, int> idTable = [];
    readonly StringMerges merges;

    Llama2cTokenizer(List<(string Text, float Score)> entries)
    {
        tokens = [.. entries.Select(e => e.Text)];
        firstText = HasBytes(entries) ? FirstByte + Bytes : FirstByte;
        for (var id = 0; id < tokens.Length; id++) idTable.TryAdd(tokens[id], id);
        ids = idTable.GetAlternateLookup<ReadOnlySpan<char>>();
        var order = entries.Select(e => e.Score).Distinct().OrderDescending().Select((score, rank) => (score, rank))
            .ToDictionary(p => p.score, p => p.rank);
        merges = new StringMerges(idTable.Where(t => t.Value >= firstText).ToDictionary(t => t.Key, t => order[entries[t.Value].Score]));
    }

    /// <inheritdoc/>
    public override int VocabularySize => tokens.Length;

    /// <inheritdoc/>
    public override int? BosId => 1;

    /// <inheritdoc/>
    public override int? EosId => 2;

    /// <inheritdoc/>
    public override string? TokenOf(int id) => (uint)id < (uint)tokens.Length ? tokens[id] : null;

    /// <inheritdoc/>
    public override int? IdOf(string token) => idTable.TryGetValue(token, out var id) ? id : null;

    /// <summary>Whether the bytes may be such a file: a small first number, then entries that fit.</summary>
    internal static bool Recognises(ReadOnlySpan<byte> bytes) =>
        bytes.Length >= 16 && BinaryPrimitives.ReadInt32LittleEndian(bytes) is > 0 and < 4096
        && BinaryPrimitives.ReadInt32LittleEndian(bytes[8..]) is >= 0 and < 4096;

    /// <summary>Reads the file.</summary>
    internal static Llama2cTokenizer Read(string file, ReadOnlySpan<byte> bytes)
    {
        var entries = new List<(string, float)>();
        for (var rest = bytes[4..]; rest.Length > 0;)
        {
            var length = rest.Length < 8 ? -1 : BinaryPrimitives.ReadInt32LittleEndian(rest[4..]);
            if (length < 0 || length > rest.Length - 8)
            {
                throw new ModelFileException(file, $"token {entries.Count} is cut off or its length is wrong.", "Export the tokenizer again.");
            }
            var score = BinaryPrimitives.ReadSingleLittleEndian(rest);
            if (!float.IsFinite(score)) throw new ModelFileException(file, $"the score of token {entries.Count} is not a finite number.");
            entries.Add((Encoding.UTF8.GetString(rest.Slice(8, length)), score));
            rest = rest[(8 + length)..];
        }
        return entries.Count > FirstByte
            ? new Llama2cTokenizer(entries)
            : throw new ModelFileException(file, $"has {entries.Count} tokens: nothing behind unknown, begin and end.", "Export the tokenizer again.");
    }

    /// <inheritdoc/>
    public override void Encode(string text, List<int> output, bool addSpecialTokens = true)
    {
        if (addSpecialTokens) output.Add(1);
        if (text.Length == 0) return;
        var spaced = " " + UnicodeText.WellFormed(text);
        var symbols = StringMerges.Characters(spaced);
        for (var i = 0; i < symbols.Count; i++)
        {
            // Characters outside the vocabulary become bytes before anything is merged.
            var known = ids.TryGetValue(spaced.AsSpan(symbols[i].Start, symbols[i].Length), out _);
            if (!known) symbols[i] = symbols[i] with { Frozen = true };
        }
        Span<byte> bytes = stackalloc byte[4];
        foreach (var symbol in merges.Merge(spaced, symbols))
        {
            var piece = spaced.AsSpan(symbol.Start, symbol.Length);
            if (ids.TryGetValue(piece, out var id)) output.Add(id);
            else if (firstText == FirstByte) output.Add(Unknown);
            else foreach (var b in bytes[..Encoding.UTF8.GetBytes(piece, bytes)]) output.Add(b + FirstByte);
        }
    }

    /// <inheritdoc/>
    public override string Decode(ReadOnlySpan<int> input, bool skipSpecialTokens = true)
    {
        var bytes = new List<byte>(input.Length * 4);
        var first = true;
        foreach (var id in input)
        {
            if ((uint)id >= (uint)tokens.Length || (id < FirstByte && skipSpecialTokens)) continue;
            if (id >= FirstByte && id < firstText) bytes.Add((byte)(id - FirstByte));
            else bytes.AddRange(Encoding.UTF8.GetBytes(first && tokens[id].StartsWith(' ') ? tokens[id][1..] : tokens[id]));
            first = false;
        }
        return Encoding.UTF8.GetString([.. bytes]);
    }

    static bool HasBytes(List<(string Text, float Score)> entries) =>
        entries.Count >= FirstByte + Bytes && entries[FirstByte].Text == ByteToken.Of(0);
}
