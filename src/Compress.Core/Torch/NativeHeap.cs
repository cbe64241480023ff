using System.Runtime.InteropServices;

namespace Compress.Core.Torch;

/// <summary>How the C library allocates libtorch's memory: glibc on Linux; others do not know these calls and are left alone.</summary>
public static partial class NativeHeap
{
    // Parameter numbers of glibc's mallopt (malloc.h).
    private const int TrimThreshold = -1;
    private const int TopPadding = -2;
    private const int MmapThreshold = -3;
    private const int MostMappings = -4;

    private const int GlibcMappings = 65536, OneMebibyte = 1 << 20;

    /// <summary>
    /// Keeps freed tensors' memory in the process. Otherwise every large tensor is mapped, zeroed page by page and unmapped again,
    /// which costs a training step a third of its time. The price is resident memory that stays at its peak: for training, not for
    /// runs that promise a small peak.
    /// </summary>
    /// <returns>True where the heap took the settings (glibc on Linux).</returns>
    public static bool KeepFreedMemory() => Set((MostMappings, 0), (TrimThreshold, int.MaxValue), (TopPadding, 64 << 20));

    /// <summary>
    /// Gives every block of 1 MiB and more pages of its own, which go back to the system when it is freed, and returns what
    /// <see cref="KeepFreedMemory"/> kept.
    /// </summary>
    /// <remarks>
    /// glibc begins so too, but each freed block raises its threshold, to at most 32 MiB; from then on tensors of a few MiB come from its
    /// heaps, whose holes a stream of blocks of changing sizes cannot fill. On a 1.1-billion-parameter model resident memory grew from
    /// 0.96 to 1.31 GiB over 19 blocks; with a fixed threshold it stays at its level after the first. Setting any threshold
    /// switches the raising off.
    /// </remarks>
    /// <returns>True where the heap took the settings (glibc on Linux).</returns>
    public static bool ReturnLargeBlocks()
    {
        if (!Set((MostMappings, GlibcMappings), (TrimThreshold, OneMebibyte), (TopPadding, 0), (MmapThreshold, OneMebibyte))) return false;
        _ = Trim(0);
        return true;
    }

    private static bool Set(params ReadOnlySpan<(int Option, int Value)> settings)
    {
        if (!OperatingSystem.IsLinux()) return false;
        try
        {
            var taken = true;
            foreach (var (option, value) in settings) taken &= SetOption(option, value) != 0;
            return taken;
        }
        catch (Exception e) when (e is EntryPointNotFoundException or DllNotFoundException)
        {
            // Other C libraries (musl) have no mallopt; they are slower, not wrong.
            return false;
        }
    }

    [LibraryImport("libc", EntryPoint = "mallopt")]
    private static partial int SetOption(int option, int value);

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    private static partial int Trim(nuint padding);
}
