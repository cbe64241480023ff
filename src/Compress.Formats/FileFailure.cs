namespace Compress.Formats;

/// <summary>Turns what the operating system says of a file into a message for the user.</summary>
internal static class FileFailure
{
    /// <summary>A file could not be opened or read.</summary>
    public static ModelFileException Reading(string path, Exception cause) => cause switch
    {
        FileNotFoundException or DirectoryNotFoundException =>
            new(path, "the file does not exist.", "Check the path; relative paths start at the current folder.", cause),
        UnauthorizedAccessException when Directory.Exists(path) => new(path, "this is a folder, a file is needed.", null, cause),
        UnauthorizedAccessException => new(path, "the file may not be read.", "Check its permissions.", cause),
        _ => new(path, $"the file cannot be read ({cause.Message.TrimEnd('.')}).", null, cause),
    };

    /// <summary>A file could not be created, written or renamed.</summary>
    public static FileWriteException Writing(string path, Exception cause) => cause switch
    {
        UnauthorizedAccessException => new(path, "the file may not be written.", "Check the permissions of its folder.", cause),
        DirectoryNotFoundException => new(path, "its folder does not exist.", "Create the folder first.", cause),
        _ => new(path, $"the file cannot be written ({cause.Message.TrimEnd('.')}).", "Check the free space of the disk.", cause),
    };
}
