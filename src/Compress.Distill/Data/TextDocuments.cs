using System.Text;
using Compress.Formats;

namespace Compress.Distill.Data;

/// <summary>Documents in a plain text file.</summary>
public static class TextDocuments
{
    /// <summary>Reads a file whose documents are separated by two or more empty lines.</summary>
    /// <param name="path">UTF-8 text.</param>
    /// <returns>Documents in order, each ending in one line break.</returns>
    /// <exception cref="ModelFileException">The file is missing, is not UTF-8 or holds no text.</exception>
    public static IReadOnlyList<string> Read(string path)
    {
        var text = ReadText(path);
        var documents = text.Split("\n\n\n").Select(d => d.Trim('\n')).Where(d => d.Length > 0).Select(d => d + "\n").ToList();
        return documents.Count > 0 ? documents : throw new ModelFileException(path, "the training text is empty.");
    }

    /// <summary>Reads a whole file, line breaks normalised.</summary>
    /// <param name="path">UTF-8 text.</param>
    /// <exception cref="ModelFileException">The file is missing or is not UTF-8.</exception>
    public static string ReadText(string path)
    {
        try
        {
            return File.ReadAllText(path, new UTF8Encoding(false, throwOnInvalidBytes: true)).ReplaceLineEndings("\n");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or DecoderFallbackException)
        {
            throw new ModelFileException(path, $"the text cannot be read: {e.Message}", "Give a readable UTF-8 text file.", e);
        }
    }
}
