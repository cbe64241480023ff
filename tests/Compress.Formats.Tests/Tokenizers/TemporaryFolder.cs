namespace Compress.Formats.Tests.Tokenizers;

/// <summary>A folder that is deleted with its content.</summary>
sealed class TemporaryFolder : IDisposable
{
    internal string Path { get; } = Directory.CreateTempSubdirectory("compress-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
