using System.Globalization;
using System.Text;
using Compress.Core.Recipes;

namespace Compress.Core.Runs;

/// <summary>A run's folder on disk, held by one process at a time. Every file in it appears whole or not at all.</summary>
/// <remarks>
/// The lock is the operating system's (flock) on <c>run.lock</c>: it goes with the process, however that ends. <c>run.json</c> is the first
/// file written; a folder without it holds no work, and a run may begin there.
/// </remarks>
public sealed class RunFolder : IDisposable
{
    /// <summary>Versions, hashes, instruction sets, threads, seed and backend.</summary>
    public const string RunFile = "run.json";

    /// <summary>What is finished.</summary>
    public const string JournalFile = "journal.jsonl";

    private const string LockFile = "run.lock";
    private const string Partial = ".partial";

    /// <summary>Somebody else holds the lock: EWOULDBLOCK on Linux and on macOS, ERROR_SHARING_VIOLATION on Windows.</summary>
    private static readonly int[] HeldByOther = [11, 35, unchecked((int)0x80070020)];

    private readonly FileStream held;

    private RunFolder(string path, FileStream held)
    {
        Path = path;
        this.held = held;
    }

    /// <summary>The folder's full path.</summary>
    public string Path { get; }

    /// <summary>True where the folder holds a run that was begun earlier.</summary>
    public bool HasRun => File.Exists(At(RunFile));

    /// <summary>Takes a folder for a run, and creates it where it is missing.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="resume">True to go on with a run that is there; false to refuse one.</param>
    /// <exception cref="RunException">
    /// The folder holds something and <paramref name="resume"/> is false, holds something other than a run, is in use by another process, or
    /// cannot be written.
    /// </exception>
    public static RunFolder Take(string path, bool resume)
    {
        var full = System.IO.Path.GetFullPath(path);
        if (!resume && Directory.Exists(full)) RefuseUsed(full);
        try
        {
            Directory.CreateDirectory(full);
            var folder = new RunFolder(full, Lock(full));
            try
            {
                if (!folder.HasRun) RefuseForeign(full);
                else if (!resume) throw Used(full);
                return folder;
            }
            catch
            {
                folder.Dispose();
                throw;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw RunException.Writing(full, e);
        }
    }

    /// <summary>Full path of a file or folder of the run.</summary>
    public string At(params ReadOnlySpan<string> parts) => System.IO.Path.Combine([Path, .. parts]);

    /// <summary>The folder of a stage, <c>stages/01-prune-wanda</c>.</summary>
    /// <param name="number">The stage's number, from 1.</param>
    /// <param name="stage">The stage.</param>
    public string StageFolder(int number, StageRecipe stage) => At("stages", string.Create(
        CultureInfo.InvariantCulture,
        $"{number:00}-{stage.Method.Attribute.Kind.ToString().ToLowerInvariant()}-{stage.Method.Attribute.Name}"));

    /// <summary>Writes a text file atomically.</summary>
    public void Write(string name, string text) => Write(name, stream => stream.Write(Encoding.UTF8.GetBytes(text)));

    /// <summary>Writes a file beside its place, waits until the disk has it, and renames it.</summary>
    /// <param name="name">Path in the run folder.</param>
    /// <param name="write">Writes the content.</param>
    /// <exception cref="RunException">The file cannot be written.</exception>
    public void Write(string name, Action<Stream> write)
    {
        var target = At(name);
        try
        {
            using (var stream = new FileStream(target + Partial, FileMode.Create, FileAccess.ReadWrite))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(target + Partial, target, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw RunException.Writing(target, e);
        }
    }

    /// <summary>Gives the folder back.</summary>
    public void Dispose() => held.Dispose();

    private static FileStream Lock(string folder)
    {
        var path = System.IO.Path.Combine(folder, LockFile);
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (HeldByOther.Contains(e.HResult))
        {
            throw new RunException(folder, "is in use by another process.", "Wait for it to end, or choose another folder with --output.", e);
        }
    }

    private static void RefuseUsed(string full)
    {
        if (File.Exists(System.IO.Path.Combine(full, RunFile))) throw Used(full);
        RefuseForeign(full);
    }

    /// <summary>A folder without run.json may hold only what a run leaves that was killed before it wrote that file.</summary>
    private static void RefuseForeign(string full)
    {
        var foreign = Directory.EnumerateFileSystemEntries(full).Select(System.IO.Path.GetFileName)
            .FirstOrDefault(name => name is not (LockFile or RunFile + Partial));
        if (foreign is null) return;
        throw new RunException(full, $"holds something that is not a run ('{foreign}').", "Choose an empty or new folder with --output.");
    }

    private static RunException Used(string full) => new(
        full, "holds a run already.", "Go on with it (--resume), choose another folder (--output), or delete it.");
}
