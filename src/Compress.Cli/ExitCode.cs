namespace Compress.Cli;

/// <summary>What the program's exit codes mean; scripts rely on them.</summary>
internal static class ExitCode
{
    /// <summary>Done.</summary>
    public const int Fine = 0;

    /// <summary>Everything ran, but a gate or self-test was not passed.</summary>
    public const int GateFailed = 1;

    /// <summary>The recipe, the command line or the installation is wrong.</summary>
    public const int RecipeWrong = 2;

    /// <summary>The model, tokenizer or data is missing, malformed or not supported.</summary>
    public const int ModelWrong = 3;

    /// <summary>Interrupted; a run can be resumed.</summary>
    public const int Interrupted = 4;

    /// <summary>A bug in the program.</summary>
    public const int Bug = 5;

    /// <summary>The list that <c>compress --help</c> ends with.</summary>
    public const string Help = """
        Exit codes:
          0  done
          1  a gate or the self-test was not passed
          2  the recipe, the command line or the installation is wrong
          3  the model, tokenizer or data is missing, malformed or not supported
          4  interrupted; a run goes on with --resume
          5  a bug in compress
        """;
}
