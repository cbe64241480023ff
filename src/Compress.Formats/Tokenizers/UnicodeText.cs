using System.Text;

namespace Compress.Formats.Tokenizers;

/// <summary>Guards against text that is not valid UTF-16.</summary>
static class UnicodeText
{
    /// <summary>The text with every lone surrogate replaced by U+FFFD.</summary>
    internal static string WellFormed(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i])) continue;
            if (char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1])) i++;
            else return Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
        }
        return text;
    }
}
