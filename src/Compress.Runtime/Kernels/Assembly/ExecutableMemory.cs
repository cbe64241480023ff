using System.Runtime.InteropServices;

namespace Compress.Runtime.Kernels.Assembly;

/// <summary>Pages of machine code: written first, then executable and no longer writable.</summary>
internal static unsafe partial class ExecutableMemory
{
    private const int Read = 1, Write = 2, Execute = 4, Private = 2, Anonymous = 32;

    /// <summary>Places code in pages of its own, which stay for the life of the process.</summary>
    /// <returns>Its address; 0 where the system forbids executable pages.</returns>
    public static nint Place(ReadOnlySpan<byte> code)
    {
        var length = (nuint)code.Length;
        var page = Map(0, length, Read | Write, Private | Anonymous, -1, 0);
        if (page == -1) return 0;
        code.CopyTo(new Span<byte>((void*)page, code.Length));
        if (Protect(page, length, Read | Execute) == 0) return page;
        _ = Unmap(page, length);
        return 0;
    }

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc", EntryPoint = "mprotect")]
    private static partial int Protect(nint address, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(nint address, nuint length);
}
