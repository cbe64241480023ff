using System.CommandLine;

namespace Compress.Cli;

/// <summary>Options that the commands over recipes share.</summary>
internal static class RecipeOptions
{
    /// <summary><c>--set key=value</c>, any number of times.</summary>
    public static Option<string[]> Set() => new("--set")
    {
        Description = "Replace a value of the recipe, e.g. --set stages.0.sparsity=0.6. May be given more than once.",
        HelpName = "KEY=VALUE",
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = false,
    };

    /// <summary><c>--output DIR</c>.</summary>
    public static Option<string?> Output() =>
        new("--output") { Description = "Run folder; default: runs/<name of the recipe>.", HelpName = "DIR" };
}
