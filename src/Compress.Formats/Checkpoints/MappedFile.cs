using System.IO.MemoryMappedFiles;

namespace Compress.Formats.Checkpoints;

/// <summary>A whole file mapped read-only; pages are read when touched and can be dropped by the system at any time.</summary>
internal sealed unsafe class MappedFile : TensorMemory
{
    readonly MemoryMappedFile? file;
    readonly MemoryMappedViewAccessor? view;

    MappedFile(string path, long length, MemoryMappedFile? file)
    {
        Path = path;
        Length = length;
        this.file = file;
        if (file is null) return;
        view = file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        byte* pointer = null;
        // The reference taken here keeps the mapping alive until Release, whatever the garbage collector does.
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref pointer);
        Address = (nint)(pointer + view.PointerOffset);
    }

    public string Path { get; }

    public long Length { get; }

    public nint Address { get; }

    /// <summary>Maps <paramref name="path"/>.</summary>
    /// <exception cref="ModelFileException">The file is missing or cannot be read.</exception>
    public static MappedFile Open(string path)
    {
        try
        {
            var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0);
            try
            {
                var length = stream.Length;
                // The system refuses to map nothing.
                if (length == 0)
                {
                    stream.Dispose();
                    return new MappedFile(path, 0, null);
                }
                var map = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, false);
                return new MappedFile(path, length, map);
            }
            catch
            {
                stream.Dispose();
                throw;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
        {
            throw FileFailure.Reading(path, e);
        }
    }

    /// <summary>A window of at most 2 GiB.</summary>
    public ReadOnlySpan<byte> Bytes(long offset, int count)
    {
        ObjectDisposedException.ThrowIf(IsReleased, this);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length - count);
        return new ReadOnlySpan<byte>((byte*)Address + offset, count);
    }

    protected override void Release()
    {
        if (view is not null)
        {
            view.SafeMemoryMappedViewHandle.ReleasePointer();
            view.Dispose();
        }
        file?.Dispose();
    }
}
