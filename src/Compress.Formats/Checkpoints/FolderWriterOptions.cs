namespace Compress.Formats.Checkpoints;

/// <summary>How <see cref="HuggingFaceFolderWriter"/> writes.</summary>
public sealed record FolderWriterOptions
{
    /// <summary>Largest weights file in bytes of data; a single tensor may exceed it. The default is that of transformers.</summary>
    public long MaximumShardBytes { get; init; } = 5_000_000_000;

    /// <summary>True to replace a target folder that something else wrote, with everything in it.</summary>
    public bool Overwrite { get; init; }
}
