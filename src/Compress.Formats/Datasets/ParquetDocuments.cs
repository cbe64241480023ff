using Compress.Formats.Checkpoints;
using Parquet;
using Parquet.Schema;

namespace Compress.Formats.Datasets;

/// <summary>Documents of a Parquet file: a column of strings, one row group in memory at a time.</summary>
internal static class ParquetDocuments
{
    const long MostRowsInGroup = 16 << 20;
    const long MostBytesInGroup = 1L << 30;

    public static IEnumerable<string> Read(string path, TextDatasetOptions options)
    {
        using var file = MappedFile.Open(path);
        Guarded(path, () =>
        {
            ParquetStructure.CheckFooter(file);
            return Task.FromResult(true);
        });
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        var reader = Guarded(path, () => ParquetReader.CreateAsync(stream, new ParquetOptions { TreatByteArrayAsString = true }));
        try
        {
            var column = FindColumn(path, Guarded(path, () => Task.FromResult(reader.Schema)), options.Field ?? "text");
            for (var group = 0; group < reader.RowGroupCount; group++)
            {
                foreach (var text in ReadGroup(file, reader, group, column))
                {
                    if (text is null) continue;
                    if (text.Length > options.MaximumLength)
                        throw new ModelFileException(path, $"row group {group}: a text is longer than {options.MaximumLength} characters.");
                    yield return text;
                }
            }
        }
        finally
        {
            reader.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
    }

    static DataField FindColumn(string path, ParquetSchema schema, string name)
    {
        var columns = schema.GetDataFields().Where(f => f.Path.Length == 1 && f.ClrType == typeof(ReadOnlyMemory<char>)).ToList();
        var names = columns.Select(c => c.Name).ToList();
        return columns.Find(c => c.Name == name) ?? throw new ModelFileException(
            path, $"there is no column of strings \"{Suggestion.Shorten(name)}\".",
            names.Count == 0 ? "It has no columns of strings." : $"It has {string.Join(", ", names.Take(10).Select(Suggestion.Shorten))}.");
    }

    static string?[] ReadGroup(MappedFile file, ParquetReader reader, int index, DataField column) => Guarded(file.Path, async () =>
    {
        using var group = reader.OpenRowGroupReader(index);
        var chunk = group.GetMetadata(column)?.MetaData ?? throw new InvalidDataException($"row group {index} lacks the column");
        if (group.RowCount is < 0 or > MostRowsInGroup || chunk.TotalUncompressedSize is < 0 or > MostBytesInGroup)
        {
            throw new ModelFileException(
                file.Path, $"row group {index} has {group.RowCount} rows and {chunk.TotalUncompressedSize} bytes of text; at most "
                + $"{MostRowsInGroup} rows and {MostBytesInGroup} bytes are read.", "Write it with smaller row groups.");
        }
        var begin = chunk.DictionaryPageOffset is { } dictionary and > 0
            ? Math.Min(dictionary, chunk.DataPageOffset)
            : chunk.DataPageOffset;
        ParquetStructure.CheckPages(file, begin, chunk.TotalCompressedSize, group.RowCount);
        var texts = new string?[group.RowCount];
        await group.ReadAsync(column, texts.AsMemory()!).ConfigureAwait(false);
        return texts;
    });

    /// <summary>Runs a call of the Parquet library, which answers damaged files with exceptions of any kind, memory included.</summary>
    static T Guarded<T>(string path, Func<Task<T>> call)
    {
        try
        {
            return Task.Run(call).GetAwaiter().GetResult();
        }
        catch (Exception e) when (e is not ModelFileException)
        {
            throw new ModelFileException(
                path, $"not a readable Parquet file ({e.Message.TrimEnd('.')}).", "Fetch or write the file again.", e);
        }
    }
}
