using System.Text;

namespace Compress.Formats.Datasets;

/// <summary>Reads UTF-8 text in lines of limited length; a gzip file is unpacked as it is read.</summary>
internal sealed class TextLines : IDisposable
{
    const int BufferLength = 1 << 16;

    readonly string path;
    readonly int maximumLength;
    readonly StreamReader reader;
    readonly GzipText? gzip;
    readonly char[] buffer = new char[BufferLength];
    readonly StringBuilder pending = new();
    int position;
    int filled;

    public TextLines(string path, int maximumLength)
    {
        this.path = path;
        this.maximumLength = maximumLength;
        Stream stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        if (path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase)) stream = gzip = new GzipText(stream);
        // A byte order mark is dropped; other encodings than UTF-8 are not guessed.
        reader = new StreamReader(stream, new UTF8Encoding(false, throwOnInvalidBytes: true), detectEncodingFromByteOrderMarks: false);
    }

    /// <summary>Number of the line that was read last, from 1.</summary>
    public long Number { get; private set; }

    /// <summary>The next line with its end (LF or CR LF), or null after the last.</summary>
    public string? Next()
    {
        pending.Clear();
        Number++;
        while (true)
        {
            if (position == filled && !Fill())
            {
                if (pending.Length == 0) return null;
                break;
            }
            var rest = buffer.AsSpan(position, filled - position);
            var end = rest.IndexOf('\n');
            var taken = end < 0 ? rest.Length : end + 1;
            if (pending.Length + taken > maximumLength)
                throw TooLong(path, Number, maximumLength);
            pending.Append(rest[..taken]);
            position += taken;
            if (end >= 0) break;
        }
        if (Number == 1 && pending[0] == '\uFEFF') pending.Remove(0, 1);
        return pending.ToString();
    }

    public void Dispose() => reader.Dispose();

    public static ModelFileException TooLong(string path, long line, int maximumLength) => new(
        path, $"line {line}: the text is longer than {maximumLength} characters.", "Split the file into documents.");

    bool Fill()
    {
        try
        {
            position = 0;
            filled = reader.Read(buffer, 0, buffer.Length);
            if (filled == 0 && gzip is { IsWhole: false })
                throw new ModelFileException(
                    path, "the gzip file ends too early, or has several parts.", "Fetch it again, or unpack it first.");
            return filled > 0;
        }
        catch (DecoderFallbackException e)
        {
            throw new ModelFileException(
                path, $"line {Number} or soon after: the text is not valid UTF-8.", "Convert the file to UTF-8.", e);
        }
    }
}
