using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Compress.Core.Torch;

/// <summary>Loads libtorch and TorchSharp's native library before the first TorchSharp call.</summary>
/// <remarks>
/// libtorch stays in the package folder (or beside a published program): there is one copy on disk. Where the system's
/// libstdc++ is older than the one TorchSharp was linked with, a private copy of <c>libLibTorchSharp.so</c> is made in the
/// user's cache folder, its unused version requirement marked weak (<see cref="ElfVersionNeeds"/>), and loaded instead.
/// </remarks>
public static partial class TorchBackend
{
    /// <summary>The symbol version that TorchSharp's native library names and GCC 12's libstdc++ lacks.</summary>
    private const string NewerLibStdCxx = "GLIBCXX_3.4.32";

    private const string TorchSharpLibrary = "libLibTorchSharp.so";

    /// <summary>Load order: each library needs only those before it.</summary>
    private static readonly string[] LibTorchLibraries =
        ["libgomp-*.so.1", "libc10.so", "libtorch_cpu.so", "libc10_cuda.so", "libtorch_cuda.so", "libtorch.so"];

    private static readonly Lazy<string> Loaded = new(LoadOnce);

    /// <summary>Where TorchSharp's native library was loaded from; loads it if that has not happened yet.</summary>
    /// <exception cref="TorchLoadException">A library is missing or the system refuses it; the message says what to do.</exception>
    public static string EnsureLoaded() => Loaded.Value;

#pragma warning disable CA2255 // A caller that forgot to load would see TorchSharp's own failure, which names no remedy.
    [ModuleInitializer]
    internal static void LoadOnFirstUse()
    {
        // A failure here would surface as a TypeInitializationException; EnsureLoaded reports it readably to those who ask.
        try { EnsureLoaded(); }
        catch (TorchLoadException) { }
    }
#pragma warning restore CA2255

    private static string LoadOnce()
    {
        if (!OperatingSystem.IsLinux()) return "TorchSharp's own loader";
        LetThreadsSleep();
        var folders = CandidateFolders();
        foreach (var pattern in LibTorchLibraries)
        {
            var path = Find(folders, pattern);
            if (path is not null) Load(path);
            else if (!pattern.Contains("cuda", StringComparison.Ordinal)) throw Missing(pattern, folders);
        }
        var torchSharp = Find(folders, TorchSharpLibrary) ?? throw Missing(TorchSharpLibrary, folders);
        if (NativeLibrary.TryLoad(torchSharp, out _)) return torchSharp;
        var copy = WeakenedCopy(torchSharp);
        Load(copy);
        return copy;
    }

    /// <summary>
    /// Lets libgomp's threads wait for one another for some microseconds only before they sleep. By default they spin for about a
    /// millisecond, and with another process on one of two cores everybody spins for a thread that does not run: thirty training steps took
    /// 70 s instead of 43 s, and on an idle machine the same 22 s either way. What the user has set stays.
    /// </summary>
    private static void LetThreadsSleep()
    {
        const string SpinCount = "GOMP_SPINCOUNT", WaitPolicy = "OMP_WAIT_POLICY";
        if (Environment.GetEnvironmentVariable(SpinCount) is not null || Environment.GetEnvironmentVariable(WaitPolicy) is not null) return;
        // libgomp reads the process's own environment, which .NET's copy does not reach.
        _ = SetVariable(SpinCount, "1000", overwrite: 0);
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetVariable(string name, string value, int overwrite);

    private static List<string> CandidateFolders()
    {
        var folders = new List<string>();
        if (Environment.GetEnvironmentVariable("COMPRESS_TORCH_HOME") is { Length: > 0 } home) folders.Add(home);
        folders.Add(AppContext.BaseDirectory);
        folders.Add(Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native"));
        var baked = typeof(TorchBackend).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
            .FirstOrDefault(a => a.Key == "Compress.TorchNative")?.Value ?? "";
        folders.AddRange(baked.Split(':', StringSplitOptions.RemoveEmptyEntries));
        return folders;
    }

    private static string? Find(List<string> folders, string pattern) => folders
        .Where(Directory.Exists)
        .SelectMany(f => Directory.EnumerateFiles(f, pattern))
        .FirstOrDefault();

    private static void Load(string path)
    {
        try { NativeLibrary.Load(path); }
        catch (DllNotFoundException e) { throw new TorchLoadException($"{path} cannot be loaded: {e.Message.Trim()}", e); }
    }

    private static string WeakenedCopy(string original)
    {
        var bytes = File.ReadAllBytes(original);
        if (!ElfVersionNeeds.MarkWeak(bytes, NewerLibStdCxx)) return original;
        var folder = Path.Combine(CacheRoot(), "torchsharp-" + Convert.ToHexStringLower(SHA256.HashData(bytes))[..16]);
        var copy = Path.Combine(folder, TorchSharpLibrary);
        if (File.Exists(copy) && new FileInfo(copy).Length == bytes.Length) return copy;
        Directory.CreateDirectory(folder);
        // Two programs may start at once: each writes its own file, and the rename is atomic.
        var partial = $"{copy}.{Environment.ProcessId}";
        File.WriteAllBytes(partial, bytes);
        File.Move(partial, copy, overwrite: true);
        return copy;
    }

    private static string CacheRoot()
    {
        var cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        if (string.IsNullOrEmpty(cache))
        {
            var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
            cache = home.Length > 0 ? Path.Combine(home, ".cache") : Path.GetTempPath();
        }
        return Path.Combine(cache, "compress");
    }

    private static TorchLoadException Missing(string pattern, List<string> folders) => new(
        $"{pattern} was not found in: {string.Join(", ", folders)}. Restore the packages (dotnet restore), or set COMPRESS_TORCH_HOME "
        + "to a folder that holds libtorch and libLibTorchSharp.so.", null);
}

/// <summary>libtorch or TorchSharp's native library could not be loaded; the message names the file and the remedy.</summary>
public sealed class TorchLoadException : Exception
{
    internal TorchLoadException(string message, Exception? inner) : base(message, inner) { }
}
