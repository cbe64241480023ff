using Compress.Core.Torch;
using TorchSharp;

namespace Compress.Cli.Doctor;

/// <summary>Which libtorch the program uses.</summary>
/// <param name="Torchsharp">TorchSharp's version.</param>
/// <param name="Libtorch">libtorch's version.</param>
/// <param name="LibtorchPath">Where libtorch was loaded from.</param>
/// <param name="TorchsharpPath">Where TorchSharp's native library was loaded from.</param>
/// <param name="Threads">Threads of a tensor operation.</param>
/// <param name="Cuda">True where this build and machine have CUDA.</param>
/// <param name="CudaDevices">Number of CUDA devices.</param>
internal sealed record BackendReport(
    string Torchsharp, string Libtorch, string LibtorchPath, string TorchsharpPath, int Threads, bool Cuda, int CudaDevices)
{
    /// <summary>Loads the backend and looks at it.</summary>
    /// <exception cref="TorchLoadException">It cannot be loaded.</exception>
    public static BackendReport Take()
    {
        var torchSharp = TorchBackend.EnsureLoaded();
        return new BackendReport(
            typeof(torch).Assembly.GetName().Version!.ToString(3),
            torch.__version__,
            MappedFile("libtorch_cpu.") ?? "the system's loader",
            torchSharp,
            torch.get_num_threads(),
            torch.cuda.is_available(),
            torch.cuda.device_count());
    }

    /// <summary>The mapped file of this process whose name begins as given.</summary>
    private static string? MappedFile(string prefix) => !File.Exists("/proc/self/maps") ? null : File.ReadLines("/proc/self/maps")
        .Select(l => l.IndexOf('/', StringComparison.Ordinal) is > 0 and var at ? l[at..] : "")
        .FirstOrDefault(path => Path.GetFileName(path).StartsWith(prefix, StringComparison.Ordinal));
}
