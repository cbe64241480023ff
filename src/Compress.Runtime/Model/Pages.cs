using System.Runtime.InteropServices;

namespace Compress.Runtime.Model;

/// <summary>Zeroed native memory for weights, in huge pages where the system has them: fewer look-ups of addresses on the way to memory.</summary>
internal sealed unsafe partial class Pages : IDisposable
{
    private const int HugePages = 14, HugePageBytes = 1 << 21;
    private byte* start;

    public Pages(long bytes)
    {
        var size = checked((nuint)Math.Max(64, bytes));
        var large = size >= HugePageBytes;
        start = (byte*)NativeMemory.AlignedAlloc((size + 63) / 64 * 64, large ? HugePageBytes : 64u);
        if (large && OperatingSystem.IsLinux()) _ = Advise((nint)start, size, HugePages);
        NativeMemory.Clear(start, size);
    }

    ~Pages() => Dispose();

    public byte* Start => start;

    public void Dispose()
    {
        NativeMemory.AlignedFree(start);
        start = null;
        GC.SuppressFinalize(this);
    }

    /// <summary>Lets go of mapped file pages that are no longer read; the file still holds them.</summary>
    public static void Forget(byte* from, long bytes)
    {
        const int DontNeed = 4, PageBytes = 4096;
        if (!OperatingSystem.IsLinux()) return;
        nint first = ((nint)from + PageBytes - 1) / PageBytes * PageBytes, end = (nint)(from + bytes) / PageBytes * PageBytes;
        if (end > first) _ = Advise(first, (nuint)(end - first), DontNeed);
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint address, nuint length, int advice);
}
