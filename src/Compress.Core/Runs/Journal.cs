using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Compress.Core.Runs;

/// <summary>
/// A run's <c>journal.jsonl</c>: one line for each finished piece of work, on disk before the next piece begins. A process may be
/// killed at any moment: a line that was being written is dropped when the journal is opened again.
/// </summary>
public sealed class Journal : IDisposable
{
    private readonly FileStream stream;
    private readonly string path;
    private readonly List<JournalEntry> entries = [];

    /// <summary>Where each entry's line ends.</summary>
    private readonly List<long> ends = [];

    private Journal(string path, FileStream stream)
    {
        this.path = path;
        this.stream = stream;
    }

    /// <summary>What is finished, oldest first.</summary>
    public IReadOnlyList<JournalEntry> Entries => entries;

    /// <summary>Opens a journal, or begins an empty one, and cuts off a torn last line.</summary>
    /// <exception cref="RunException">A line before the last is not a journal line, or the file cannot be written.</exception>
    public static Journal Open(string path)
    {
        try
        {
            var stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
            var journal = new Journal(path, stream);
            try
            {
                journal.Read();
                return journal;
            }
            catch
            {
                journal.Dispose();
                throw;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw RunException.Writing(path, e);
        }
    }

    /// <summary>Appends a line and waits until the disk has it.</summary>
    /// <exception cref="RunException">The file cannot be written.</exception>
    public void Append(JournalEntry entry)
    {
        var line = JsonSerializer.SerializeToUtf8Bytes(entry, RunJson.Line);
        try
        {
            stream.Write([.. line, (byte)'\n']);
            stream.Flush(flushToDisk: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw RunException.Writing(path, e);
        }
        entries.Add(entry);
        ends.Add(stream.Position);
    }

    /// <summary>Forgets every entry from an index on: their work turned out to be damaged and is done again.</summary>
    /// <param name="count">Entries that stay.</param>
    /// <exception cref="RunException">The file cannot be written.</exception>
    public void Truncate(int count)
    {
        entries.RemoveRange(count, entries.Count - count);
        ends.RemoveRange(count, ends.Count - count);
        try
        {
            stream.SetLength(count == 0 ? 0 : ends[count - 1]);
            stream.Seek(0, SeekOrigin.End);
            stream.Flush(flushToDisk: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw RunException.Writing(path, e);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => stream.Dispose();

    private void Read()
    {
        using var memory = new MemoryStream();
        stream.CopyTo(memory);
        var bytes = memory.GetBuffer().AsSpan(0, (int)memory.Length);
        var sound = 0;
        while (bytes[sound..].IndexOf((byte)'\n') is >= 0 and var length)
        {
            var line = bytes.Slice(sound, length);
            var end = sound + length + 1;
            if (Parse(line) is not { } entry)
            {
                if (end == bytes.Length) break;
                throw Damaged(path, entries.Count + 1, line);
            }
            entries.Add(entry);
            ends.Add(end);
            sound = end;
        }
        Truncate(entries.Count);
    }

    private static JournalEntry? Parse(ReadOnlySpan<byte> line)
    {
        try { return JsonSerializer.Deserialize<JournalEntry>(line, RunJson.Line); }
        catch (Exception e) when (e is JsonException or NotSupportedException) { return null; }
    }

    private static RunException Damaged(string path, int number, ReadOnlySpan<byte> line) => new(
        path,
        string.Create(CultureInfo.InvariantCulture, $"line {number} is not a journal line: '{Shown(line)}'."),
        "The file was changed by something else; delete the run folder and start again.");

    private static string Shown(ReadOnlySpan<byte> line) =>
        string.Concat(Encoding.UTF8.GetString(line[..Math.Min(40, line.Length)]).Select(c => char.IsControl(c) ? '?' : c));
}
