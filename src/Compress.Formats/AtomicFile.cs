using System.Text;

namespace Compress.Formats;

/// <summary>Writes a file so that its path never shows a part of it: beside the target first, flushed to disk, then renamed.</summary>
public static class AtomicFile
{
    /// <summary>Writes <paramref name="path"/>, replacing a file that is there.</summary>
    /// <param name="path">The target.</param>
    /// <param name="write">Writes the content; when it throws, the target stays as it was.</param>
    /// <exception cref="ModelFileException">The file cannot be written.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        var temporary = TemporaryPath(path);
        try
        {
            using (var stream = new FileStream(temporary, FileMode.Create, FileAccess.Write, FileShare.None))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e)
        {
            Discard(temporary);
            if (e is IOException or UnauthorizedAccessException) throw FileFailure.Writing(path, e);
            throw;
        }
    }

    /// <summary>Writes text as UTF-8 without a byte order mark.</summary>
    /// <param name="path">The target.</param>
    /// <param name="text">The content.</param>
    /// <exception cref="ModelFileException">The file cannot be written.</exception>
    public static void WriteText(string path, string text) => Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));

    /// <summary>Where a file lies until it is complete: beside the target, so that renaming never crosses file systems.</summary>
    internal static string TemporaryPath(string path) => path + ".partial";

    /// <summary>Removes an unfinished file; what cannot be removed is left, as the failure that led here matters more.</summary>
    internal static void Discard(string temporary)
    {
        try
        {
            File.Delete(temporary);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
        }
    }
}
