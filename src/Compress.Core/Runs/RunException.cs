using Compress.Formats;

namespace Compress.Core.Runs;

/// <summary>A run cannot begin or go on: its folder exists, is in use, cannot be written, or does not fit the recipe.</summary>
/// <param name="folder">The run folder, or the file in it.</param>
/// <param name="problem">What is wrong.</param>
/// <param name="remedy">What the user can do.</param>
/// <param name="inner">The cause, where there is one.</param>
public sealed class RunException(string folder, string problem, string remedy, Exception? inner = null)
    : CompressException($"{folder}: {problem} {remedy}", inner)
{
    /// <summary>The run folder, or the file in it.</summary>
    public string Folder { get; } = folder;

    /// <summary>Turns what the operating system says of a write into a message for the user.</summary>
    internal static RunException Writing(string path, Exception cause) => cause switch
    {
        UnauthorizedAccessException => new(
            path, "may not be written.", "Check the folder's permissions, or choose another with --output.", cause),
        _ => new(
            path,
            $"cannot be written ({cause.Message.TrimEnd('.')}).",
            "Check the disk's free space and that it is not read-only; what is finished is kept, continue with --resume.",
            cause),
    };
}

/// <summary>The user stopped a run; what is finished is in its folder.</summary>
/// <param name="message">What is finished and how to go on.</param>
/// <param name="token">The token that asked for it.</param>
public sealed class RunInterruptedException(string message, CancellationToken token) : OperationCanceledException(message, token);
