namespace Compress.Formats.Datasets;

/// <summary>How <see cref="TextDataset"/> finds documents in a file.</summary>
public sealed record TextDatasetOptions
{
    /// <summary>
    /// The JSON member or Parquet column that holds the text. Null: <c>text</c>, and in JSON Lines otherwise <c>messages</c> or
    /// <c>conversations</c>.
    /// </summary>
    public string? Field { get; init; }

    /// <summary>
    /// For text files: a line that equals this ends a document; empty for blank lines. Null: the whole file is one document, as
    /// perplexity protocols take it.
    /// </summary>
    public string? Separator { get; init; }

    /// <summary>Longest document, and longest line of JSON Lines, in UTF-16 units; a longer one is an error.</summary>
    public int MaximumLength { get; init; } = 256 << 20;
}
