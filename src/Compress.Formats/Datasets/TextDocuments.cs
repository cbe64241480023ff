using System.Text;

namespace Compress.Formats.Datasets;

/// <summary>Documents of a plain text file: the whole file, or parts between separator lines.</summary>
internal static class TextDocuments
{
    public static IEnumerable<string> Read(string path, TextDatasetOptions options)
    {
        using var lines = new TextLines(path, options.MaximumLength);
        var document = new StringBuilder();
        while (lines.Next() is { } line)
        {
            if (options.Separator is not null && line.AsSpan().TrimEnd("\r\n") is var content && IsSeparator(content, options.Separator))
            {
                if (document.Length > 0) yield return Ended(document);
                document.Clear();
                continue;
            }
            if (document.Length + line.Length > options.MaximumLength) throw TextLines.TooLong(path, lines.Number, options.MaximumLength);
            document.Append(line);
        }
        if (document.Length > 0) yield return options.Separator is null ? document.ToString() : Ended(document);
    }

    static bool IsSeparator(ReadOnlySpan<char> line, string separator) =>
        separator.Length == 0 ? line.IsWhiteSpace() : line.SequenceEqual(separator);

    /// <summary>A separated document ends before the line break that the separator needs.</summary>
    static string Ended(StringBuilder document) => document.ToString().TrimEnd('\n', '\r');
}
