using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Compress.Formats.Tests.Tokenizers;

/// <summary>One line of a golden file: what implementations that are not ours make of a text.</summary>
sealed record GoldenLine(
    string Id, string Text, bool IsRule, bool AddSpecialTokens, bool? ParseSpecial, int[]? Ids, int? Count, string? Sha256,
    string? Decoded, string? DecodedWithSpecial, string[] Sources)
{
    internal static IEnumerable<GoldenLine> Read(string file) => File.ReadLines(file).Select(Parse);

    static GoldenLine Parse(string line)
    {
        using var document = JsonDocument.Parse(line);
        var root = document.RootElement;
        var isRule = root.TryGetProperty("rule", out var rule);
        var text = isRule ? Repeat(rule.GetProperty("repeat").GetString()!, rule.GetProperty("chars").GetInt32()) : root.GetProperty("text").GetString()!;
        return new GoldenLine(
            root.GetProperty("id").GetString()!, text, isRule, root.GetProperty("add_special_tokens").GetBoolean(),
            root.TryGetProperty("parse_special", out var parse) ? parse.GetBoolean() : null,
            root.TryGetProperty("ids", out var ids) ? [.. ids.EnumerateArray().Select(i => i.GetInt32())] : null,
            root.TryGetProperty("n_ids", out var count) ? count.GetInt32() : null,
            Optional(root, "ids_sha256"), Optional(root, "decoded"), Optional(root, "decoded_with_special"),
            root.TryGetProperty("source", out var source) ? [.. source.EnumerateArray().Select(s => s.GetString()!)] : []);
    }

    static string? Optional(JsonElement root, string key) => root.TryGetProperty(key, out var value) ? value.GetString() : null;

    // The rule counts code points, not UTF-16 units.
    static string Repeat(string unit, int characters)
    {
        var runes = unit.EnumerateRunes().ToArray();
        var text = new StringBuilder(characters * 2);
        for (var i = 0; i < characters / runes.Length; i++) text.Append(unit);
        foreach (var rune in runes.Take(characters % runes.Length)) text.Append(rune.ToString());
        return text.ToString();
    }

    /// <summary>What is wrong with the ids, or null.</summary>
    internal string? CompareIds(int[] actual)
    {
        if (Ids is not null)
        {
            return Ids.AsSpan().SequenceEqual(actual) ? null : $"ids [{string.Join(' ', actual.Take(40))}] != [{string.Join(' ', Ids.Take(40))}]";
        }
        if (actual.Length != Count) return $"{actual.Length} ids instead of {Count}";
        var bytes = new byte[actual.Length * 4];
        for (var i = 0; i < actual.Length; i++) BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(i * 4), actual[i]);
        return Convert.ToHexStringLower(SHA256.HashData(bytes)) == Sha256 ? null : "the hash of the ids differs";
    }
}
