using Xunit;

namespace Compress.Testing;

/// <summary>The optional folder of real models, texts and golden vectors that lies beside the checkout (<c>../shared/data</c>).</summary>
public static class SharedData
{
    /// <summary>The folder, or null where it is absent.</summary>
    public static string? Root { get; } = Locate();

    /// <summary>The repository's root folder (the one that holds Compress.sln).</summary>
    public static string Repository { get; } = FindUp(AppContext.BaseDirectory, d => File.Exists(Path.Combine(d, "Compress.sln")))
        ?? throw new InvalidOperationException("tests must run inside the repository");

    /// <summary>The full path of an entry; call only from tests marked <see cref="SharedDataFactAttribute"/> or its theory.</summary>
    public static string At(params string[] parts) =>
        Path.Combine([Root ?? throw new InvalidOperationException("shared data is absent"), .. parts]);

    internal static string? SkipReason => Root is null ? "shared/data is not beside this checkout (set COMPRESS_SHARED_DATA)" : null;

    private static string? Locate()
    {
        if (Environment.GetEnvironmentVariable("COMPRESS_SHARED_DATA") is { Length: > 0 } given) return given;
        var repository = FindUp(AppContext.BaseDirectory, d => File.Exists(Path.Combine(d, "Compress.sln")));
        if (repository is null) return null;
        var beside = Path.GetFullPath(Path.Combine(repository, "..", "shared", "data"));
        return Directory.Exists(beside) ? beside : null;
    }

    private static string? FindUp(string from, Func<string, bool> matches)
    {
        for (var d = new DirectoryInfo(from); d is not null; d = d.Parent)
        {
            if (matches(d.FullName)) return d.FullName;
        }
        return null;
    }
}

/// <summary>A test that reads shared data and is skipped, saying so, where that is absent.</summary>
public sealed class SharedDataFactAttribute : FactAttribute
{
    /// <summary>Sets the skip reason where the folder is absent.</summary>
    public SharedDataFactAttribute() => Skip = SharedData.SkipReason;
}

/// <summary>A parametrised test that reads shared data and is skipped, saying so, where that is absent.</summary>
public sealed class SharedDataTheoryAttribute : TheoryAttribute
{
    /// <summary>Sets the skip reason where the folder is absent.</summary>
    public SharedDataTheoryAttribute() => Skip = SharedData.SkipReason;
}
