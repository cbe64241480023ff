namespace Compress.Formats.Datasets;

/// <summary>
/// Documents of a text file (<c>.txt</c>, <c>.md</c>), JSON Lines file (<c>.jsonl</c>, <c>.ndjson</c>, <c>.json</c>; any of these also
/// with <c>.gz</c>) or Parquet file, or of all such files in a folder in the order of their names. Files are read as documents are
/// asked for.
/// </summary>
public static class TextDataset
{
    static readonly string[] TextExtensions = [".txt", ".md", ".text", ".raw"];
    static readonly string[] JsonExtensions = [".jsonl", ".ndjson", ".json"];

    /// <summary>Opens a dataset.</summary>
    /// <param name="path">A file or folder.</param>
    /// <param name="options">Field, separator and limits; null for the defaults.</param>
    /// <returns>
    /// Documents in file order; null entries are left out, empty ones are kept. Reading on can throw <see cref="ModelFileException"/>
    /// with the line or row.
    /// </returns>
    /// <exception cref="ModelFileException">The path does not exist or has an unknown type.</exception>
    public static IEnumerable<string> Open(string path, TextDatasetOptions? options = null)
    {
        options ??= new TextDatasetOptions();
        if (Directory.Exists(path))
        {
            var files = Files(path);
            return files.Count > 0
                ? files.SelectMany(file => OpenFile(file, options))
                : throw new ModelFileException(path, "the folder has no text, JSON Lines or Parquet files.", "Give a dataset file.");
        }
        if (!File.Exists(path)) throw FileFailure.Reading(path, new FileNotFoundException());
        return OpenFile(path, options);
    }

    static List<string> Files(string folder)
    {
        try
        {
            return [.. Directory.EnumerateFiles(folder).Where(f => Reader(f) is not null).Order(StringComparer.Ordinal)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw FileFailure.Reading(folder, e);
        }
    }

    static IEnumerable<string> OpenFile(string path, TextDatasetOptions options)
    {
        var reader = Reader(path) ?? throw new ModelFileException(
            path, $"datasets of type \"{Path.GetExtension(path)}\" are not read.", "Give a .txt, .jsonl or .parquet file.");
        return Guarded(path, reader(path, options));
    }

    static Func<string, TextDatasetOptions, IEnumerable<string>>? Reader(string path)
    {
        bool Has(string[] extensions) => Array.Exists(extensions, e => path.EndsWith(e, StringComparison.OrdinalIgnoreCase)
            || path.EndsWith(e + ".gz", StringComparison.OrdinalIgnoreCase));
        if (path.EndsWith(".parquet", StringComparison.OrdinalIgnoreCase)) return ParquetDocuments.Read;
        if (Has(JsonExtensions)) return JsonLineDocuments.Read;
        return Has(TextExtensions) ? TextDocuments.Read : null;
    }

    /// <summary>Gives failures of the system and of decompression the file's name.</summary>
    static IEnumerable<string> Guarded(string path, IEnumerable<string> documents)
    {
        using var each = documents.GetEnumerator();
        while (true)
        {
            try
            {
                if (!each.MoveNext()) yield break;
            }
            catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException)
            {
                throw FileFailure.Reading(path, e);
            }
            yield return each.Current;
        }
    }
}
