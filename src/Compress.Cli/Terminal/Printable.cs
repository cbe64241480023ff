namespace Compress.Cli.Terminal;

/// <summary>Text from files may hold escape codes; a terminal must not obey them.</summary>
internal static class Printable
{
    /// <summary>The text with control characters other than line breaks and tabs replaced by U+FFFD.</summary>
    public static string Of(string text) => text.Any(IsUnsafe) ? string.Concat(text.Select(c => IsUnsafe(c) ? '\uFFFD' : c)) : text;

    private static bool IsUnsafe(char c) => char.IsControl(c) && c is not ('\n' or '\r' or '\t');
}
