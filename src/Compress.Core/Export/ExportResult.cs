namespace Compress.Core.Export;

/// <summary>A checkpoint that was written, re-opened and checked.</summary>
/// <param name="Format">Its format.</param>
/// <param name="Path">Its folder.</param>
/// <param name="Figures">Its size.</param>
/// <param name="Files">Its files with their SHA-256.</param>
public sealed record ExportResult(string Format, string Path, StorageFigures Figures, IReadOnlyDictionary<string, string> Files);
