using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;

namespace Compress.Formats.Checkpoints;

/// <summary>A whole file mapped read-only; pages are read when touched and can be dropped by the system at any time.</summary>
internal sealed unsafe partial class MappedFile : TensorMemory
{
    const int DontNeed = 4;

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

    /// <summary>
    /// Takes the whole pages of a range out of the process's resident memory; touching them reads the file again. Only advice: where the
    /// system knows no such call, the pages stay until it wants them back.
    /// </summary>
    public static void Forget(nint address, long byteCount)
    {
        if (!OperatingSystem.IsLinux()) return;
        var page = (nint)Environment.SystemPageSize;
        var begin = (address + page - 1) / page * page;
        var end = (nint)(address + byteCount) / page * page;
        if (end > begin) _ = Advise(begin, (nuint)(end - begin), DontNeed);
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

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint address, nuint length, int advice);
}
