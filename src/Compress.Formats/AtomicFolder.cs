using System.Runtime.InteropServices;

namespace Compress.Formats;

/// <summary>
/// Writes a folder so that its path shows either what was there before or the whole new content: files go to a temporary folder
/// beside the target, which then takes the target's place.
/// </summary>
/// <remarks>
/// On Linux the two folders are exchanged in one step (renameat2). Elsewhere an existing target is renamed away first, and a crash
/// between the two renames is repaired by the next <see cref="Create"/> for the same target.
/// </remarks>
public sealed partial class AtomicFolder : IDisposable
{
    const string TemporarySuffix = ".compress-partial";
    const string OldSuffix = ".compress-old";

    bool completed;

    AtomicFolder(string target)
    {
        TargetPath = target;
        TemporaryPath = target + TemporarySuffix;
    }

    /// <summary>Where the folder will be.</summary>
    public string TargetPath { get; }

    /// <summary>Where its files are to be written.</summary>
    public string TemporaryPath { get; }

    /// <summary>Makes the temporary folder, after removing one that an earlier process left unfinished.</summary>
    /// <param name="target">The folder to write; parents are made where they are missing.</param>
    /// <exception cref="ModelFileException">The target is a file, or the temporary folder cannot be made.</exception>
    public static AtomicFolder Create(string target)
    {
        target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(target));
        if (File.Exists(target))
            throw new ModelFileException(target, "a file has the name of the folder to write.", "Choose another name.");
        try
        {
            var old = target + OldSuffix;
            if (Directory.Exists(old))
            {
                if (Directory.Exists(target)) Directory.Delete(old, recursive: true);
                else Directory.Move(old, target);
            }
            var folder = new AtomicFolder(target);
            if (Directory.Exists(folder.TemporaryPath)) Directory.Delete(folder.TemporaryPath, recursive: true);
            Directory.CreateDirectory(folder.TemporaryPath);
            return folder;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw FileFailure.Writing(target, e);
        }
    }

    /// <summary>Puts the folder in its place; what was there is deleted.</summary>
    /// <exception cref="ModelFileException">The folder cannot be renamed.</exception>
    public void Complete()
    {
        ObjectDisposedException.ThrowIf(completed, this);
        try
        {
            if (!Directory.Exists(TargetPath)) Directory.Move(TemporaryPath, TargetPath);
            else if (TryExchange(TemporaryPath, TargetPath)) Directory.Delete(TemporaryPath, recursive: true);
            else ReplaceInTwoSteps();
            completed = true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw FileFailure.Writing(TargetPath, e);
        }
    }

    /// <summary>Removes the temporary folder if <see cref="Complete"/> was not reached.</summary>
    public void Dispose()
    {
        if (completed) return;
        completed = true;
        try
        {
            Directory.Delete(TemporaryPath, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The failure that led here matters more; the next run removes the remains.
        }
    }

    void ReplaceInTwoSteps()
    {
        var old = TargetPath + OldSuffix;
        Directory.Move(TargetPath, old);
        Directory.Move(TemporaryPath, TargetPath);
        Directory.Delete(old, recursive: true);
    }

    static bool TryExchange(string first, string second)
    {
        const int CurrentFolder = -100;
        const uint Exchange = 2;
        if (!OperatingSystem.IsLinux()) return false;
        try
        {
            return RenameAt2(CurrentFolder, first, CurrentFolder, second, Exchange) == 0;
        }
        catch (EntryPointNotFoundException)
        {
            return false;
        }
    }

    [LibraryImport("libc", EntryPoint = "renameat2", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int RenameAt2(int oldFolder, string oldPath, int newFolder, string newPath, uint flags);
}
