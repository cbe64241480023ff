using System.Globalization;
using System.Text;
using Compress.Formats.Tokenizers.Normalization;

namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>The clean-up of BERT's basic tokenizer (Devlin et al. 2018, tokenization.py).</summary>
sealed class BertNormalizer(bool cleanText, bool handleChineseCharacters, bool stripAccents, bool lowercase) : Normalizer
{
    /// <inheritdoc/>
    internal override string Normalize(string text)
    {
        if (cleanText) text = Clean(text);
        if (handleChineseCharacters) text = SurroundChinese(text);
        if (stripAccents)
        {
            text = Keep(UnicodeNormalizer.Normalize(text, NormalizationForm.FormD),
                r => Rune.GetUnicodeCategory(r) != UnicodeCategory.NonSpacingMark);
        }
        return lowercase ? Lowercase(text) : text;
    }

    static string Clean(string text)
    {
        var result = new StringBuilder(text.Length);
        Span<char> buffer = stackalloc char[2];
        foreach (var rune in text.EnumerateRunes())
        {
            if (rune.Value is '\t' or '\n' or '\r') result.Append(' ');
            else if (rune.Value is 0 or 0xFFFD || IsControl(rune)) continue;
            else if (Rune.IsWhiteSpace(rune)) result.Append(' ');
            else result.Append(buffer[..rune.EncodeToUtf16(buffer)]);
        }
        return result.ToString();
    }

    static bool IsControl(Rune rune) => Rune.GetUnicodeCategory(rune)
        is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.PrivateUse or UnicodeCategory.Surrogate;

    static string SurroundChinese(string text)
    {
        var result = new StringBuilder(text.Length);
        Span<char> buffer = stackalloc char[2];
        foreach (var rune in text.EnumerateRunes())
        {
            var character = buffer[..rune.EncodeToUtf16(buffer)];
            if (IsChinese(rune.Value)) result.Append(' ').Append(character).Append(' ');
            else result.Append(character);
        }
        return result.ToString();
    }

    // U+2B920 (for U+2B820) is the library's own slip, kept because models were trained through it.
    static bool IsChinese(int c) => c is (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0x20000 and <= 0x2A6DF)
        or (>= 0x2A700 and <= 0x2B73F) or (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF) or (>= 0xF900 and <= 0xFAFF)
        or (>= 0x2F800 and <= 0x2FA1F);
}
