using System.Runtime.InteropServices;

namespace Compress.Core.Torch;

/// <summary>Settings of the C library's heap, from which libtorch takes its tensors.</summary>
public static class NativeHeap
{
    // Parameter numbers of glibc's mallopt (malloc.h).
    private const int TrimThreshold = -1;
    private const int TopPadding = -2;
    private const int MostMappings = -4;

    /// <summary>
    /// Keeps freed tensors' memory in the process. Otherwise every large tensor is mapped, zeroed page by page and unmapped again,
    /// which costs a training step a third of its time. The price is resident memory that stays at its peak: for training, not for
    /// runs that promise a small peak.
    /// </summary>
    /// <returns>True where the heap took the settings (glibc on Linux).</returns>
    public static bool KeepFreedMemory()
    {
        if (!OperatingSystem.IsLinux()) return false;
        try
        {
            return Set(MostMappings, 0) != 0 && Set(TrimThreshold, int.MaxValue) != 0 && Set(TopPadding, 64 << 20) != 0;
        }
        catch (Exception e) when (e is EntryPointNotFoundException or DllNotFoundException)
        {
            // Other C libraries (musl) have no mallopt; they are slower, not wrong.
            return false;
        }
    }

    [DllImport("libc", EntryPoint = "mallopt")]
    private static extern int Set(int parameter, int value);
}
