using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using Compress.Core.Recipes;
using Compress.Core.Torch;
using TorchSharp;

namespace Compress.Core.Runs;

/// <summary>Where a run computes: versions, processor, threads, device.</summary>
internal static class RunEnvironment
{
    /// <summary>Names and values for <c>run.json</c>, in a fixed order.</summary>
    public static SortedDictionary<string, string> Describe() => new(StringComparer.Ordinal)
    {
        ["compress"] = typeof(RunEnvironment).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "",
        ["torchsharp"] = typeof(torch).Assembly.GetName().Version?.ToString(3) ?? "",
        ["libtorch"] = torch.__version__,
        ["dotnet"] = RuntimeInformation.FrameworkDescription,
        ["system"] = RuntimeInformation.OSDescription,
        ["architecture"] = RuntimeInformation.ProcessArchitecture.ToString(),
        ["processor"] = Processor(),
        ["instruction_sets"] = string.Join(' ', InstructionSets()),
        ["threads"] = torch.get_num_threads().ToString(CultureInfo.InvariantCulture),
    };

    /// <summary>The device that a recipe asks for.</summary>
    /// <exception cref="TorchLoadException">libtorch cannot be loaded.</exception>
    /// <exception cref="RecipeException">CUDA was asked for and is absent.</exception>
    public static torch.Device Device(Recipe recipe)
    {
        TorchBackend.EnsureLoaded();
        if (recipe.Device == DeviceChoice.Cpu) return torch.CPU;
        if (torch.cuda.is_available()) return torch.CUDA;
        if (recipe.Device == DeviceChoice.Auto) return torch.CPU;
        throw new RecipeException("recipe", 0, 0, "device", "is cuda, but this build or machine has none.",
            "Build with -p:TorchBackend=cuda on a machine with an NVIDIA GPU, or write device: auto.");
    }

    /// <summary>
    /// The arithmetic of forward passes that a recipe asks for; where it leaves the choice, bf16 if hardware multiplies it (twice the speed
    /// and more) and f32 if it would be emulated.
    /// </summary>
    public static torch.ScalarType Precision(Recipe recipe, torch.Device device) => recipe.Calibration?.Precision switch
    {
        ForwardPrecision.F32 => torch.ScalarType.Float32,
        ForwardPrecision.Bf16 => torch.ScalarType.BFloat16,
        _ => device.type == DeviceType.CUDA || MultipliesBf16() ? torch.ScalarType.BFloat16 : torch.ScalarType.Float32,
    };

    private static bool MultipliesBf16()
    {
        const int Avx512Bf16 = 1 << 5;
        return X86Base.IsSupported && X86Base.CpuId(0, 0).Eax >= 7 && X86Base.CpuId(7, 0).Eax >= 1
            && (X86Base.CpuId(7, 1).Eax & Avx512Bf16) != 0;
    }

    private static string Processor() => File.Exists("/proc/cpuinfo")
        ? File.ReadLines("/proc/cpuinfo").FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal))?.Split(':', 2)[^1].Trim() ?? ""
        : "";

    private static IEnumerable<string> InstructionSets()
    {
        (string Name, bool Has)[] sets =
        [
            ("avx2", Avx2.IsSupported), ("fma", Fma.IsSupported), ("avx512f", Avx512F.IsSupported), ("avx512bw", Avx512BW.IsSupported),
            ("avx512vbmi", Avx512Vbmi.IsSupported), ("avx512_bf16", MultipliesBf16()), ("neon", AdvSimd.IsSupported),
        ];
        return sets.Where(s => s.Has).Select(s => s.Name);
    }
}
