using System.Globalization;

namespace Compress.Formats.Tokenizers;

/// <summary>Tokens that stand for one byte: <c>&lt;0x0A&gt;</c>.</summary>
static class ByteToken
{
    internal static string Of(byte value) => string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>");

    internal static bool TryParse(string token, out byte value)
    {
        value = 0;
        return token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
            && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }
}
