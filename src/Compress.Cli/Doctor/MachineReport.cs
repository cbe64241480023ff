using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using ArmBase = System.Runtime.Intrinsics.Arm;

namespace Compress.Cli.Doctor;

/// <summary>What the machine offers.</summary>
/// <param name="Dotnet">Runtime version.</param>
/// <param name="System">Operating system.</param>
/// <param name="Architecture">Processor architecture.</param>
/// <param name="Processor">Processor model.</param>
/// <param name="Cores">Logical cores that the program may use.</param>
/// <param name="InstructionSets">
/// Instruction sets by name: true where .NET's intrinsics reach them. Names ending in <c>_cpu</c> have no .NET class and say what the
/// processor itself reports.
/// </param>
/// <param name="MemoryTotal">Bytes of memory, or of the container's limit.</param>
/// <param name="MemoryAvailable">Bytes free for new programs.</param>
/// <param name="DiskFree">Bytes free on the disk of the current folder.</param>
internal sealed record MachineReport(
    string Dotnet, string System, string Architecture, string Processor, int Cores, IReadOnlyDictionary<string, bool> InstructionSets,
    long MemoryTotal, long MemoryAvailable, long DiskFree)
{
    /// <summary>Looks at this machine.</summary>
    public static MachineReport Take()
    {
        var memory = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        return new MachineReport(
            RuntimeInformation.FrameworkDescription,
            RuntimeInformation.OSDescription,
            RuntimeInformation.ProcessArchitecture.ToString(),
            Lines("/proc/cpuinfo", "model name").FirstOrDefault() ?? "unknown processor",
            Environment.ProcessorCount,
            Instructions(),
            memory,
            Lines("/proc/meminfo", "MemAvailable").Select(Kilobytes).FirstOrDefault() is > 0 and var free ? Math.Min(free, memory) : memory,
            new DriveInfo(Environment.CurrentDirectory).AvailableFreeSpace);
    }

    private static Dictionary<string, bool> Instructions() => X86Base.IsSupported
        ? new()
        {
            ["avx2"] = Avx2.IsSupported,
            ["fma"] = Fma.IsSupported,
            ["avx_vnni"] = AvxVnni.IsSupported,
            ["avx512f"] = Avx512F.IsSupported,
            ["avx512bw"] = Avx512BW.IsSupported,
            ["avx512vbmi"] = Avx512Vbmi.IsSupported,
            ["avx512vbmi2"] = Avx512Vbmi2.IsSupported,
            ["avx512_vnni_cpu"] = CpuBit(leaf: 7, subleaf: 0, register: 2, bit: 11),
            ["avx512_bf16_cpu"] = CpuBit(leaf: 7, subleaf: 1, register: 0, bit: 5),
        }
        : new()
        {
            ["neon"] = ArmBase.AdvSimd.IsSupported,
            ["dotprod"] = ArmBase.Dp.IsSupported,
        };

    private static bool CpuBit(int leaf, int subleaf, int register, int bit)
    {
        if (X86Base.CpuId(0, 0).Eax < leaf || (subleaf > 0 && X86Base.CpuId(leaf, 0).Eax < subleaf)) return false;
        var (a, b, c, d) = X86Base.CpuId(leaf, subleaf);
        return ((new[] { a, b, c, d }[register] >> bit) & 1) == 1;
    }

    private static IEnumerable<string> Lines(string file, string key) => File.Exists(file)
        ? File.ReadLines(file).Where(l => l.StartsWith(key, StringComparison.Ordinal))
            .Select(l => l[(l.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim())
        : [];

    private static long Kilobytes(string text) =>
        long.TryParse(text.Split(' ')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var kilobytes) ? kilobytes * 1024 : 0;
}
