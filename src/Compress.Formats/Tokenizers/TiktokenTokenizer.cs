using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Text;
using Compress.Formats.Tokenizers.HuggingFace;
using Compress.Formats.Tokenizers.Patterns;

namespace Compress.Formats.Tokenizers;

/// <summary>A tiktoken rank file (<c>tokenizer.model</c> of Llama 3): Base64 of a token's bytes and its rank on each line.</summary>
/// <remarks>
/// The file holds neither pattern nor special tokens. The pattern is the one published with Llama 3; special tokens are the
/// <c>added_tokens_decoder</c> of a <c>tokenizer_config.json</c> beside the file.
/// </remarks>
sealed class TiktokenTokenizer : Tokenizer
{
    static readonly Pattern Words = new(PublishedPatterns.Llama3);
    readonly string file;
    readonly Vocabulary vocabulary;
    readonly StringMerges merges;
    readonly AddedVocabulary added;
    readonly WordCache cache = new();

    TiktokenTokenizer(string file, Dictionary<string, int> ranks, IEnumerable<AddedToken> special, SpecialNames names)
    {
        this.file = file;
        vocabulary = new Vocabulary(ranks);
        merges = new StringMerges(ranks);
        added = new AddedVocabulary(special, text => text);
        VocabularySize = Math.Max(vocabulary.Size, added.Size);
        BosId = names.Bos is { } bos ? added.IdOf(bos) : null;
        EosId = names.Eos is { } eos ? added.IdOf(eos) : null;
    }

    /// <inheritdoc/>
    public override int VocabularySize { get; }

    /// <inheritdoc/>
    public override int? BosId { get; }

    /// <inheritdoc/>
    public override int? EosId { get; }

    /// <inheritdoc/>
    public override string? TokenOf(int id) => added.Find(id)?.Content ?? vocabulary.TokenOf(id);

    /// <inheritdoc/>
    public override int? IdOf(string token) => added.IdOf(token) ?? (vocabulary.TryGetId(token, out var id) ? id : null);

    /// <summary>Whether the bytes begin like a rank file: Base64, a space, a number, a line end.</summary>
    internal static bool Recognises(ReadOnlySpan<byte> bytes)
    {
        var end = bytes[..Math.Min(bytes.Length, 4096)].IndexOf((byte)'\n');
        return end > 0 && TryParseLine(bytes[..end], out _, out _);
    }

    /// <summary>Reads the file.</summary>
    internal static TiktokenTokenizer Read(string file, ReadOnlySpan<byte> bytes)
    {
        var ranks = new Dictionary<string, int>();
        var line = 0;
        for (var rest = bytes; rest.Length > 0;)
        {
            line++;
            var end = rest.IndexOf((byte)'\n');
            var now = end < 0 ? rest : rest[..end];
            rest = end < 0 ? default : rest[(end + 1)..];
            if (now.IsEmpty) continue;
            if (!TryParseLine(now, out var token, out var rank) || !ranks.TryAdd(token, rank))
            {
                throw new ModelFileException(file, $"line {line} is not a new token in Base64 and its rank.");
            }
        }
        for (var b = 0; b < 256; b++)
        {
            if (!ranks.ContainsKey(ByteAlphabet.CharacterOf((byte)b).ToString())) throw new ModelFileException(file, $"has no rank for byte {b}.");
        }
        if (ranks.Values.Distinct().Count() != ranks.Count || ranks.Values.Max() > 4L * ranks.Count)
        {
            throw new ModelFileException(file, "has ranks that repeat or leave most numbers out.");
        }
        return new TiktokenTokenizer(file, ranks, ReadSpecial(file), SpecialNames.Read(file));
    }

    static bool TryParseLine(ReadOnlySpan<byte> line, out string token, out int rank)
    {
        (token, rank) = ("", 0);
        line = line.TrimEnd((byte)'\r');
        var space = line.IndexOf((byte)' ');
        if (space <= 0 || !Utf8Parser.TryParse(line[(space + 1)..], out rank, out var digits) || digits != line.Length - space - 1) return false;
        if (rank is < 0 or >= Vocabulary.MaximumSize) return false;
        var bytes = new byte[space];
        if (Base64.DecodeFromUtf8(line[..space], bytes, out _, out var length) != OperationStatus.Done || length == 0) return false;
        token = string.Create(length, bytes, static (to, from) =>
        {
            for (var i = 0; i < to.Length; i++) to[i] = ByteAlphabet.CharacterOf(from[i]);
        });
        return true;
    }

    static List<AddedToken> ReadSpecial(string file)
    {
        var tokens = new List<AddedToken>();
        var configuration = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(file))!, "tokenizer_config.json");
        if (!File.Exists(configuration)) return tokens;
        using var document = JsonNode.Parse(configuration, TokenizerLoader.ReadBytes(configuration));
        if (new JsonNode(configuration, "$", document.RootElement).Optional("added_tokens_decoder") is not { } list) return tokens;
        foreach (var member in list.Members())
        {
            if (!int.TryParse(member.Name, NumberStyles.None, CultureInfo.InvariantCulture, out var id) || id >= Vocabulary.MaximumSize)
            {
                throw list.Wrong($"'{member.Name}' is not a token id.");
            }
            tokens.Add(AddedToken.Read(new JsonNode(configuration, $"{list.Path}.{member.Name}", member.Value), id));
        }
        return tokens;
    }

    /// <inheritdoc/>
    public override void Encode(string text, List<int> ids, bool addSpecialTokens = true)
    {
        if (addSpecialTokens && BosId is { } bos) ids.Add(bos);
        var well = UnicodeText.WellFormed(text);
        try
        {
            added.SplitRaw(well, (start, length, token) =>
            {
                if (token is not null) ids.Add(token.Id);
                else EncodeText(well.Substring(start, length), ids);
            });
        }
        catch (FormatException e)
        {
            throw new ModelFileException(file, $"{e.Message}.", inner: e);
        }
    }

    void EncodeText(string text, List<int> ids) =>
        Words.ForEachMatch(text, (start, length) => EncodeWord(ByteAlphabet.Encode(text.AsSpan(start, length)), ids));

    void EncodeWord(string word, List<int> ids)
    {
        if (vocabulary.TryGetId(word, out var whole))
        {
            ids.Add(whole);
            return;
        }
        if (cache.Find(word) is { } known)
        {
            ids.AddRange(known);
            return;
        }
        var merged = Merge(word);
        ids.AddRange(merged);
        cache.Keep(word, merged);
    }

    int[] Merge(string word) => [.. merges.Merge(word, StringMerges.Characters(word)).Select(s =>
    {
        vocabulary.TryGetId(word.AsSpan(s.Start, s.Length), out var id);
        return id;
    })];

    /// <inheritdoc/>
    public override string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true)
    {
        var bytes = new List<byte>(ids.Length * 4);
        foreach (var id in ids)
        {
            if (added.Find(id) is { } special)
            {
                if (!skipSpecialTokens || !special.Special) bytes.AddRange(Encoding.UTF8.GetBytes(special.Content));
            }
            else if (vocabulary.TokenOf(id) is { } token)
            {
                foreach (var c in token) bytes.Add((byte)ByteAlphabet.ByteOf(c));
            }
        }
        return Encoding.UTF8.GetString([.. bytes]);
    }
}
