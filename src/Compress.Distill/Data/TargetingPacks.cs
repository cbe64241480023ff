using System.Diagnostics.CodeAnalysis;
using Compress.Formats;

namespace Compress.Distill.Data;

/// <summary>One installed targeting pack: the reference assemblies' documentation that every .NET SDK carries.</summary>
/// <param name="Name">Package name, for instance <c>Microsoft.NETCore.App.Ref</c>.</param>
/// <param name="Version">Package version as its folder says, for instance <c>10.0.12</c>.</param>
/// <param name="Files">Its XML documentation files, in ordinal order of their names.</param>
public sealed record TargetingPack(string Name, string Version, IReadOnlyList<string> Files);

/// <summary>Finds the targeting packs of the .NET SDK that runs this program.</summary>
public static class TargetingPacks
{
    /// <summary>The packs whose documentation is read, in the order in which it is read.</summary>
    public static IReadOnlyList<string> Names { get; } = ["Microsoft.NETCore.App.Ref", "Microsoft.AspNetCore.App.Ref"];

    /// <summary>The target framework whose documentation is read.</summary>
    public const string Framework = "net10.0";

    /// <summary>The newest installed version of each pack in <see cref="Names"/>.</summary>
    /// <param name="dotnetRoot">The folder that holds <c>packs</c>; null looks beside the running runtime and in <c>DOTNET_ROOT</c>.</param>
    /// <exception cref="ModelFileException">A pack is not installed: only a runtime is present, or another SDK version.</exception>
    public static IReadOnlyList<TargetingPack> Find(string? dotnetRoot = null)
    {
        var roots = dotnetRoot is null ? CandidateRoots() : [dotnetRoot];
        return [.. Names.Select(name => FindPack(roots, name))];
    }

    static TargetingPack FindPack(List<string> roots, string name)
    {
        foreach (var root in roots)
        {
            if (TryFindPack(root, name, out var pack)) return pack;
        }
        var expected = Path.Combine(roots.FirstOrDefault() ?? "dotnet", "packs", name, "*", "ref", Framework);
        throw new ModelFileException(expected, "the targeting pack is not installed.",
            "Install the .NET 10 SDK (a runtime alone has no reference documentation), or set DOTNET_ROOT to the SDK's folder.");
    }

    static bool TryFindPack(string root, string name, [NotNullWhen(true)] out TargetingPack? pack)
    {
        pack = null;
        var folder = Path.Combine(root, "packs", name);
        if (!Directory.Exists(folder)) return false;
        var newest = Directory.EnumerateDirectories(folder)
            .Where(d => Directory.Exists(Path.Combine(d, "ref", Framework)) && Version.TryParse(Path.GetFileName(d), out _))
            .MaxBy(d => Version.Parse(Path.GetFileName(d)));
        if (newest is null) return false;
        var files = Directory.GetFiles(Path.Combine(newest, "ref", Framework), "*.xml");
        Array.Sort(files, StringComparer.Ordinal);
        pack = new TargetingPack(name, Path.GetFileName(newest), files);
        return files.Length > 0;
    }

    static List<string> CandidateRoots()
    {
        var roots = new List<string>();
        // shared/Microsoft.NETCore.App/<version>/System.Private.CoreLib.dll lies three folders below the root.
        var runtime = Path.GetDirectoryName(typeof(object).Assembly.Location);
        if (!string.IsNullOrEmpty(runtime)) roots.Add(Path.GetFullPath(Path.Combine(runtime, "..", "..", "..")));
        if (Environment.GetEnvironmentVariable("DOTNET_ROOT") is { Length: > 0 } configured) roots.Add(configured);
        return roots;
    }
}
