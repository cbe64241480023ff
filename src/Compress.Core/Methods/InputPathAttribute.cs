namespace Compress.Core.Methods;

/// <summary>
/// Marks a text option of a method as a file or folder that the stage reads: it is found beside the recipe like other paths, must exist, and
/// its content belongs to the inputs of the run.
/// </summary>
/// <param name="words">Words that stand for something else than a path.</param>
[AttributeUsage(AttributeTargets.Property)]
public sealed class InputPathAttribute(params string[] words) : Attribute
{
    /// <summary>Words that stand for something else than a path.</summary>
    public IReadOnlyList<string> Words { get; } = words;
}
