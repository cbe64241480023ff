using System.Buffers;
using System.Globalization;
using System.Text;
using Compress.Formats.Tokenizers.Normalization;

namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>Changes the text before it is split.</summary>
abstract class Normalizer
{
    /// <summary>The normalized text; both are well-formed.</summary>
    internal abstract string Normalize(string text);

    /// <summary>Normalizers one after the other.</summary>
    internal sealed class Sequence(IReadOnlyList<Normalizer> items) : Normalizer
    {
        internal override string Normalize(string text)
        {
            var current = text;
            foreach (var item in items)
            {
                current = item.Normalize(current);
                Growth.Check(text.Length, current.Length);
            }
            return current;
        }
    }

    /// <summary>A Unicode normalization form.</summary>
    internal sealed class Unicode(NormalizationForm form) : Normalizer
    {
        internal override string Normalize(string text) => UnicodeNormalizer.Normalize(text, form);
    }

    /// <summary>A function of the whole text.</summary>
    internal sealed class Whole(Func<string, string> rewrite) : Normalizer
    {
        internal override string Normalize(string text) => rewrite(text);
    }

    /// <summary>Text put before what is not empty.</summary>
    internal sealed class Prepend(string prefix) : Normalizer
    {
        internal override string Normalize(string text) => text.Length == 0 ? text : prefix + text;
    }

    /// <summary>White space removed at the ends.</summary>
    internal sealed class Strip(bool left, bool right) : Normalizer
    {
        internal override string Normalize(string text)
        {
            var start = left ? text.TrimStart() : text;
            return right ? start.TrimEnd() : start;
        }
    }

    /// <summary>Found texts replaced by a literal one.</summary>
    internal sealed class Replace(Action<string, Action<int, int>> find, string content) : Normalizer
    {
        internal override string Normalize(string text)
        {
            StringBuilder? result = null;
            var end = 0;
            find(text, (start, length) =>
            {
                result ??= new StringBuilder(text.Length);
                result.Append(text, end, start - end).Append(content);
                Growth.Check(text.Length, result.Length);
                end = start + length;
            });
            return result?.Append(text, end, text.Length - end).ToString() ?? text;
        }
    }

    /// <summary>SentencePiece's character map as Hugging Face applies it: by grapheme clusters of up to five bytes, else by characters.</summary>
    internal sealed class Precompiled(PrecompiledCharsMap map) : Normalizer
    {
        internal override string Normalize(string text)
        {
            var result = new StringBuilder(text.Length);
            Span<byte> buffer = stackalloc byte[16];
            Span<char> pair = stackalloc char[2];
            for (int i = 0, length; i < text.Length; i += length)
            {
                length = StringInfo.GetNextTextElementLength(text.AsSpan(i));
                Growth.Check(text.Length, result.Length);
                var cluster = text.AsSpan(i, length);
                if (length <= 5 && TryReplace(cluster, buffer, result)) continue;
                foreach (var rune in cluster.EnumerateRunes())
                {
                    var one = pair[..rune.EncodeToUtf16(pair)];
                    if (!TryReplace(one, buffer, result)) result.Append(one);
                }
            }
            return result.ToString();
        }

        // Only the shortest rule that fits is applied and the rest of the chunk is lost with it: that is what the library does.
        bool TryReplace(ReadOnlySpan<char> chunk, Span<byte> buffer, StringBuilder result)
        {
            var bytes = buffer[..Encoding.UTF8.GetBytes(chunk, buffer)];
            if (bytes.Length >= 6 || !map.TryShortest(bytes, out _, out var replacement)) return false;
            result.Append(Encoding.UTF8.GetString(replacement));
            return true;
        }
    }

    /// <summary>The text with only the characters that a test lets through.</summary>
    internal static string Keep(string text, Func<Rune, bool> keep)
    {
        var result = new StringBuilder(text.Length);
        Span<char> buffer = stackalloc char[2];
        foreach (var rune in text.EnumerateRunes())
        {
            if (keep(rune)) result.Append(buffer[..rune.EncodeToUtf16(buffer)]);
        }
        return result.Length == text.Length ? text : result.ToString();
    }

    /// <summary>Every character in lower case on its own, as Rust's <c>char::to_lowercase</c> does it.</summary>
    internal static string Lowercase(string text)
    {
        if (!text.AsSpan().ContainsAnyExcept(AlreadyLower)) return text;
        var result = new StringBuilder(text.Length);
        Span<char> buffer = stackalloc char[2];
        foreach (var rune in text.EnumerateRunes())
        {
            // The one character whose lower case is two characters.
            if (rune.Value == 0x130) result.Append("i\u0307");
            else result.Append(buffer[..Rune.ToLowerInvariant(rune).EncodeToUtf16(buffer)]);
        }
        return result.ToString();
    }

    static readonly SearchValues<char> AlreadyLower =
        SearchValues.Create([.. Enumerable.Range(0, 128).Select(c => (char)c).Where(c => !char.IsAsciiLetterUpper(c))]);

    /// <summary>Whether a character is a mark of any kind.</summary>
    internal static bool IsMark(Rune rune) => Rune.GetUnicodeCategory(rune)
        is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark;

    /// <summary>Control characters removed and odd white space made plain, as for machine translation models.</summary>
    internal static string Nmt(string text)
    {
        var kept = Keep(text, r => r.Value is not ((>= 1 and <= 8) or 0x0B or (>= 0x0E and <= 0x1F) or 0x7F or 0x8F or 0x9F));
        return string.Create(kept.Length, kept, static (to, from) =>
        {
            for (var i = 0; i < to.Length; i++)
            {
                var blank = from[i] is '\t' or '\n' or '\f' or '\r' or '\u1680' or (>= '\u200B' and <= '\u200F')
                    or '\u2028' or '\u2029' or '\u2581' or '\uFEFF' or '\uFFFD';
                to[i] = blank ? ' ' : from[i];
            }
        });
    }
}
