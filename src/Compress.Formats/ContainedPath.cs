namespace Compress.Formats;

/// <summary>
/// Finds files of a folder that others made, so that neither a name with a path in it nor a symbolic link leads out of the folder.
/// The one exception is the Hugging Face cache, whose <c>snapshots/…</c> folders link to <c>blobs/</c> of the same model.
/// </summary>
internal static class ContainedPath
{
    const int LongestLinkChain = 40;

    /// <summary>The path of <paramref name="name"/> in <paramref name="folder"/>, which need not exist.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="name">A plain file name from outside.</param>
    /// <param name="namedIn">The file that names it, for the message.</param>
    /// <exception cref="ModelFileException">The name is not a plain file name, or a link leads out of the folder.</exception>
    public static string Of(string folder, string name, string? namedIn = null)
    {
        if (name is "" or "." or ".." || name.AsSpan().IndexOfAny("/\\:\0") >= 0)
        {
            throw new ModelFileException(
                namedIn ?? folder, $"it names the file \"{Suggestion.Shorten(name)}\", which is not a plain file name.",
                "Files of a model must lie in its own folder.");
        }
        var path = Path.Combine(folder, name);
        if (new FileInfo(path).LinkTarget is null) return path;
        var root = Real(Path.GetFullPath(folder), 0);
        var target = Real(Path.GetFullPath(path), 0);
        if (IsInside(root, target) || IsHubBlob(root, target)) return path;
        throw new ModelFileException(
            path, "it is a symbolic link to a file outside its folder.", "Copy the file into the folder if you trust it.");
    }

    static bool IsInside(string root, string path) => path.StartsWith(Path.TrimEndingDirectorySeparator(root) + Path.DirectorySeparatorChar,
        StringComparison.Ordinal);

    static bool IsHubBlob(string root, string path)
    {
        var snapshots = Path.GetDirectoryName(root);
        return Path.GetFileName(snapshots) == "snapshots" && IsInside(Path.Combine(Path.GetDirectoryName(snapshots)!, "blobs"), path);
    }

    /// <summary>The path with every link in it followed.</summary>
    static string Real(string path, int depth)
    {
        if (depth > LongestLinkChain) throw new ModelFileException(path, "its symbolic links go in circles.");
        var parent = Path.GetDirectoryName(path);
        if (parent is null) return path;
        var real = Path.Combine(Real(parent, depth), Path.GetFileName(path));
        return new FileInfo(real).LinkTarget is { } target
            ? Real(Path.GetFullPath(Path.Combine(Path.GetDirectoryName(real)!, target)), depth + 1)
            : real;
    }
}
