namespace Compress.Formats;

/// <summary>A failure that the user can act on: a wrong file, recipe or request. Anything else that is thrown is a bug.</summary>
/// <param name="message">What is wrong, where, and what to do.</param>
/// <param name="inner">The cause, where there is one.</param>
public abstract class CompressException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>A model, tokenizer or data file is missing, malformed or not supported.</summary>
/// <param name="file">The file or folder concerned.</param>
/// <param name="problem">What is wrong, with the offending value.</param>
/// <param name="remedy">What the user can do, or null where nothing sensible can be said.</param>
/// <param name="inner">The cause, where there is one.</param>
public class ModelFileException(string file, string problem, string? remedy = null, Exception? inner = null)
    : CompressException(remedy is null ? $"{file}: {problem}" : $"{file}: {problem} {remedy}", inner)
{
    /// <summary>The file or folder concerned.</summary>
    public string File { get; } = file;

    /// <summary>What is wrong, with the offending value.</summary>
    public string Problem { get; } = problem;

    /// <summary>What the user can do.</summary>
    public string? Remedy { get; } = remedy;
}

/// <summary>A checkpoint or another file could not be written: no space, no permission, a read-only disk.</summary>
/// <param name="file">The file or folder concerned.</param>
/// <param name="problem">What is wrong.</param>
/// <param name="remedy">What the user can do.</param>
/// <param name="inner">The cause.</param>
public sealed class FileWriteException(string file, string problem, string remedy, Exception inner)
    : ModelFileException(file, problem, remedy, inner);
