using System.Text;

namespace Compress.Formats.Tokenizers.SentencePiece;

/// <summary>SentencePiece's normalizer: character map, white space, dummy prefix (normalizer.cc).</summary>
sealed class SentencePieceNormalizer(
    PrecompiledCharsMap? map, LiteralMatcher? userDefined, bool dummyPrefix, bool removeExtraSpaces, bool escapeSpaces, bool spaceAsSuffix)
{
    internal const char Space = '\u2581';

    // The longest key of a character map is far shorter; this bounds what is encoded for one look-up.
    const int LookAhead = 32;
    readonly char space = escapeSpaces ? Space : ' ';

    /// <summary>Normalizes well-formed text.</summary>
    internal string Normalize(string text)
    {
        var at = 0;
        Span<byte> buffer = stackalloc byte[LookAhead * 3];
        if (removeExtraSpaces)
        {
            while (at < text.Length && Prefix(text, at, buffer, out var consumed) is " ") at += consumed;
        }
        if (at == text.Length) return "";
        var result = new StringBuilder(text.Length + 1);
        if (dummyPrefix && !spaceAsSuffix) result.Append(space);
        var afterSpace = removeExtraSpaces;
        while (at < text.Length)
        {
            var part = Prefix(text, at, buffer, out var consumed);
            Growth.Check(text.Length, result.Length + part.Length);
            at += consumed;
            if (afterSpace) part = part.TrimStart(' ');
            if (part.Length > 0)
            {
                foreach (var c in part) result.Append(c == ' ' ? space : c);
                afterSpace = removeExtraSpaces && part[^1] == ' ';
            }
        }
        if (removeExtraSpaces)
        {
            while (result.Length > 0 && result[^1] == space) result.Length--;
        }
        if (dummyPrefix && spaceAsSuffix) result.Append(space);
        return result.ToString();
    }

    // What the text from here begins with once normalized, and how much of the text that is.
    ReadOnlySpan<char> Prefix(string text, int at, Span<byte> buffer, out int consumed)
    {
        if (userDefined is not null && userDefined.TryMatch(text.AsSpan(at), out consumed, out _)) return text.AsSpan(at, consumed);
        Rune.DecodeFromUtf16(text.AsSpan(at), out _, out consumed);
        if (map is null) return text.AsSpan(at, consumed);
        var end = Math.Min(text.Length, at + LookAhead);
        if (end < text.Length && char.IsLowSurrogate(text[end])) end--;
        var bytes = buffer[..Encoding.UTF8.GetBytes(text.AsSpan(at, end - at), buffer)];
        if (!map.TryLongest(bytes, out var length, out var replacement)) return text.AsSpan(at, consumed);
        consumed = Encoding.UTF8.GetCharCount(bytes[..length]);
        return Encoding.UTF8.GetString(replacement);
    }
}
