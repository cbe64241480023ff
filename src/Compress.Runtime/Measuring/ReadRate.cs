using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Compress.Runtime.Measuring;

/// <summary>How fast all threads together read memory.</summary>
internal static unsafe partial class ReadRate
{
    private const int HugePage = 2 << 20, AdviseHugePages = 14;

    /// <summary>Beyond any cache of today; less where the machine has little memory.</summary>
    private const long LargestBuffer = 1L << 30;

    /// <summary>Bytes of one step of the loop: eight loads, each from a line of its own.</summary>
    private const int Step = 512;

    /// <summary>Reads a buffer that no cache holds, each thread its own part from front to back.</summary>
    /// <returns>Bytes per second of the best pass.</returns>
    public static double Measure(int threads, TimeSpan time)
    {
        var available = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        var each = Math.Min(LargestBuffer, available / 8) / threads / HugePage * HugePage;
        var buffer = (byte*)NativeMemory.AlignedAlloc((nuint)(each * threads), HugePage);
        try
        {
            // Only advice: without huge pages the look-up of addresses costs some of the rate.
            if (OperatingSystem.IsLinux()) _ = Advise((nint)buffer, (nuint)(each * threads), AdviseHugePages);
            var sums = new long[threads * 16];
            Parallel.For(0, threads, i => NativeMemory.Fill(buffer + i * each, (nuint)each, 1));
            return MachineRates.Best(threads, time, each, i => sums[i * 16] += Sum(buffer + i * each, each));
        }
        finally
        {
            NativeMemory.AlignedFree(buffer);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static long Sum(byte* from, long bytes)
    {
        Vector512<long> s0 = default, s1 = default, s2 = default, s3 = default, s4 = default, s5 = default, s6 = default, s7 = default;
        for (var end = from + bytes; from < end; from += Step)
        {
            s0 += Vector512.Load((long*)from);
            s1 += Vector512.Load((long*)(from + 64));
            s2 += Vector512.Load((long*)(from + 128));
            s3 += Vector512.Load((long*)(from + 192));
            s4 += Vector512.Load((long*)(from + 256));
            s5 += Vector512.Load((long*)(from + 320));
            s6 += Vector512.Load((long*)(from + 384));
            s7 += Vector512.Load((long*)(from + 448));
        }
        return Vector512.Sum(s0 + s1 + s2 + s3 + (s4 + s5 + s6 + s7));
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint address, nuint length, int advice);
}
