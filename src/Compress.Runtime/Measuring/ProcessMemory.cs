using System.Globalization;

namespace Compress.Runtime.Measuring;

/// <summary>What the process holds in memory, and how to give some of it back.</summary>
public static class ProcessMemory
{
    /// <summary>Highest resident memory of the process so far, bytes; 0 where the system does not tell.</summary>
    public static long Peak => Status("VmHWM:");

    /// <summary>Resident memory now, bytes; 0 where the system does not tell.</summary>
    public static long Resident => Status("VmRSS:");

    private static long Status(string key)
    {
        if (!OperatingSystem.IsLinux()) return 0;
        foreach (var line in File.ReadLines("/proc/self/status"))
        {
            if (!line.StartsWith(key, StringComparison.Ordinal)) continue;
            var kilobytes = line[key.Length..].Replace("kB", "", StringComparison.Ordinal).Trim();
            return long.Parse(kilobytes, CultureInfo.InvariantCulture) * 1024;
        }
        return 0;
    }
}
