using System.Reflection;
using Compress.Core.Recipes;

namespace Compress.Cli;

/// <summary>What this installation of the program consists of.</summary>
internal static class Installed
{
    private static readonly Lazy<MethodCatalogue> Catalogue =
        new(() => MethodCatalogue.Discover(Assembly.Load("Compress.Pruning"), Assembly.Load("Compress.Quant"), Assembly.Load("Compress.Distill")));

    /// <summary>Every method of the method assemblies.</summary>
    public static MethodCatalogue Methods => Catalogue.Value;

    /// <summary>The program's version.</summary>
    public static string Version =>
        typeof(Installed).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;
}
