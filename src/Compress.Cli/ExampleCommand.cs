using System.CommandLine;

namespace Compress.Cli;

/// <summary>A command whose help ends with examples.</summary>
/// <param name="name">Name on the command line.</param>
/// <param name="description">One sentence.</param>
/// <param name="examples">Arguments after <c>compress</c>, one line each.</param>
internal sealed class ExampleCommand(string name, string description, params string[] examples) : Command(name, description)
{
    /// <summary>Arguments after <c>compress</c>, one line each.</summary>
    public IReadOnlyList<string> Examples { get; } = examples;
}
