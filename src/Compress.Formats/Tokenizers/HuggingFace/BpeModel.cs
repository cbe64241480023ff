using System.Text;

namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>Byte-pair encoding as Hugging Face's <c>BPE</c> model defines it (dropout is a training device and not applied).</summary>
sealed class BpeModel : IModel
{
    readonly BpeMerges merges;
    readonly int? unknownId;
    readonly bool fuseUnknown;
    readonly bool ignoreMerges;
    readonly string prefix;
    readonly string suffix;
    readonly int[]? byteIds;
    readonly int[] singles;
    readonly WordCache cache = new();

    internal BpeModel(JsonNode node)
    {
        Vocabulary = VocabularyReader.FromObject(node.Required("vocab"));
        prefix = node.String("continuing_subword_prefix", "");
        suffix = node.String("end_of_word_suffix", "");
        fuseUnknown = node.Boolean("fuse_unk", false);
        ignoreMerges = node.Boolean("ignore_merges", false);
        unknownId = node.Optional("unk_token") is { } unknown && Vocabulary.TryGetId(unknown.AsString(), out var id) ? id : null;
        merges = new BpeMerges(ReadMerges(node.Required("merges")));
        if (node.Boolean("byte_fallback", false)) byteIds = FindByteIds(Vocabulary);
        singles = new int[1024];
        for (var c = 0; c < singles.Length; c++)
        {
            singles[c] = Vocabulary.TryGetId([(char)c], out var single) ? single : -1;
        }
    }

    /// <inheritdoc/>
    public Vocabulary Vocabulary { get; }

    /// <inheritdoc/>
    public void Tokenize(string piece, List<int> ids)
    {
        if (piece.Length == 0) return;
        if (ignoreMerges && Vocabulary.TryGetId(piece, out var whole))
        {
            ids.Add(whole);
            return;
        }
        if (cache.Find(piece) is { } known)
        {
            ids.AddRange(known);
            return;
        }
        var merged = Merge(piece);
        ids.AddRange(merged);
        cache.Keep(piece, merged);
    }

    /// <summary>The ids of <c>&lt;0x00&gt;</c> to <c>&lt;0xFF&gt;</c>, -1 where a byte has none.</summary>
    internal static int[] FindByteIds(Vocabulary vocabulary)
    {
        var ids = new int[256];
        for (var b = 0; b < 256; b++)
        {
            ids[b] = vocabulary.TryGetId(ByteToken.Of((byte)b), out var id) ? id : -1;
        }
        return ids;
    }

    ReadOnlySpan<int> Merge(string piece)
    {
        var symbols = new List<int>(piece.Length);
        var lastWasUnknown = false;
        for (int i = 0, length; i < piece.Length; i += length)
        {
            length = char.IsHighSurrogate(piece[i]) && i + 1 < piece.Length ? 2 : 1;
            if (TryGetSymbol(piece, i, length, out var id))
            {
                symbols.Add(id);
                lastWasUnknown = false;
            }
            else if (!TryAddBytes(piece.AsSpan(i, length), symbols))
            {
                if (unknownId is not { } unknown || (fuseUnknown && lastWasUnknown)) continue;
                symbols.Add(unknown);
                lastWasUnknown = true;
            }
            else
            {
                lastWasUnknown = false;
            }
        }
        var row = symbols.ToArray();
        return row.AsSpan(0, merges.Apply(row));
    }

    bool TryGetSymbol(string piece, int at, int length, out int id)
    {
        var withPrefix = prefix.Length > 0 && at > 0;
        var withSuffix = suffix.Length > 0 && at + length == piece.Length;
        if (withPrefix || withSuffix)
        {
            var text = string.Concat(withPrefix ? prefix : "", piece.AsSpan(at, length), withSuffix ? suffix : "");
            return Vocabulary.TryGetId(text, out id);
        }
        if (length == 1 && piece[at] < singles.Length)
        {
            id = singles[piece[at]];
            return id >= 0;
        }
        return Vocabulary.TryGetId(piece.AsSpan(at, length), out id);
    }

    bool TryAddBytes(ReadOnlySpan<char> character, List<int> symbols)
    {
        if (byteIds is null) return false;
        Span<byte> bytes = stackalloc byte[4];
        bytes = bytes[..Encoding.UTF8.GetBytes(character, bytes)];
        foreach (var b in bytes)
        {
            if (byteIds[b] < 0) return false;
        }
        foreach (var b in bytes) symbols.Add(byteIds[b]);
        return true;
    }

    Dictionary<long, (int Rank, int Id)> ReadMerges(JsonNode list)
    {
        var all = new Dictionary<long, (int, int)>();
        var rank = 0;
        foreach (var item in list.Items())
        {
            var (left, right) = ReadPair(item);
            var merged = left + (right.StartsWith(prefix, StringComparison.Ordinal) ? right[prefix.Length..] : right);
            if (!Vocabulary.TryGetId(left, out var leftId) || !Vocabulary.TryGetId(right, out var rightId)
                || !Vocabulary.TryGetId(merged, out var mergedId))
            {
                throw item.Wrong($"the merge of '{left}' and '{right}' names a token that is not in the vocabulary.");
            }
            all[BpeMerges.Key(leftId, rightId)] = (rank++, mergedId);
        }
        return all;
    }

    static (string Left, string Right) ReadPair(JsonNode item)
    {
        if (item.Element.ValueKind == System.Text.Json.JsonValueKind.Array)
        {
            var parts = item.Items().Take(3).Select(p => p.AsString()).ToArray();
            return parts.Length == 2 ? (parts[0], parts[1]) : throw item.Wrong("a merge has two tokens.");
        }
        var text = item.AsString();
        var space = text.IndexOf(' ', StringComparison.Ordinal);
        return space > 0 && space + 1 < text.Length && text.IndexOf(' ', space + 1) < 0
            ? (text[..space], text[(space + 1)..])
            : throw item.Wrong("a merge is two tokens with one space between.");
    }
}
