using System.Runtime.InteropServices;

namespace Compress.Core.Pipeline;

/// <summary>How the C library allocates libtorch's memory.</summary>
internal static partial class NativeAllocator
{
    private const int MmapThreshold = -3;
    private const int OneMebibyte = 1 << 20;

    /// <summary>
    /// Gives every block of 1 MiB and more pages of its own, which go back to the system when it is freed.
    /// </summary>
    /// <remarks>
    /// glibc begins so too, but each freed block raises its threshold, to at most 32 MiB; from then on tensors of a few MiB come from its
    /// heaps, whose holes a stream of blocks of changing sizes cannot fill. On a 1.1-billion-parameter model resident memory grew from
    /// 0.96 to 1.31 GiB over 19 blocks; with a fixed threshold it stays at its level after the first. Setting any threshold
    /// switches the raising off. Other C libraries do not know the call and need no such care.
    /// </remarks>
    public static void ReturnLargeBlocks()
    {
        if (!OperatingSystem.IsLinux()) return;
        try
        {
            _ = SetOption(MmapThreshold, OneMebibyte);
        }
        catch (EntryPointNotFoundException)
        {
        }
    }

    [LibraryImport("libc", EntryPoint = "mallopt")]
    private static partial int SetOption(int option, int value);
}
