using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using Compress.Cli.Commands;
using Compress.Core.Recipes;

namespace Compress.Cli;

/// <summary>The <c>compress</c> command: its commands, and what happens when an invocation is wrong.</summary>
internal static class CommandLine
{
    /// <summary>Runs an invocation.</summary>
    /// <param name="arguments">Arguments without the program's name.</param>
    /// <param name="output">Takes results.</param>
    /// <param name="error">Takes progress, warnings and errors.</param>
    /// <returns>An <see cref="ExitCode"/>.</returns>
    public static async Task<int> RunAsync(IReadOnlyList<string> arguments, TextWriter output, TextWriter error)
    {
        var json = new Option<bool>("--json")
        {
            Description = "Write one JSON document to standard output; progress goes to standard error.",
            Recursive = true,
        };
        using var host = new CommandHost(output, error, json);
        var root = Root(host, json);
        // A response file would be one more thing that "@" in an argument can mean.
        var parsed = root.Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parsed.Action is ParseErrorAction) return host.Refuse(parsed, Problems(parsed), Hint(parsed));
        return await parsed.InvokeAsync(new InvocationConfiguration
        {
            Output = output,
            Error = error,
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = null,
        });
    }

    private static RootCommand Root(CommandHost host, Option<bool> json)
    {
        var root = new RootCommand("Compresses transformer language models: pruning, quantization and distillation from one recipe.");
        root.Add(json);
        foreach (var command in Commands(host)) root.Add(command);
        foreach (var command in root.Subcommands) AddExample(command, ExampleOf(command));
        AddExample(root, "Example:\n  compress run recipes/quickstart.yaml\n\n" + ExitCode.Help);
        return root;
    }

    private static IEnumerable<Command> Commands(CommandHost host) =>
    [
        RunCommand.Create(host),
        PlanCommand.Create(host),
        TrainCommand.Create(host),
        SensitivityCommand.Create(host),
        BudgetCommand.Create(host),
        EvaluateCommand.Create(host),
        CheckCommand.Create(host),
        InspectCommand.Create(host),
        GenerateCommand.Create(host),
        BenchmarkCommand.Create(host),
        ConvertCommand.Create(host),
        SynthesizeCommand.Create(host),
        MethodsCommand.Create(host),
        SchemaCommand.Create(host),
        DoctorCommand.Create(host),
    ];

    private static string ExampleOf(Command command) => command is ExampleCommand example
        ? "Example:\n" + string.Join('\n', example.Examples.Select(e => $"  compress {e}"))
        : throw new InvalidOperationException($"command {command.Name} has no example");

    /// <summary>Ends a command's help with an example.</summary>
    private static void AddExample(Command command, string example)
    {
        var help = command.Options.OfType<HelpOption>().FirstOrDefault();
        if (help is null) command.Add(help = new HelpOption());
        help.Action = new HelpWithExample((HelpAction)help.Action!, example);
    }

    /// <summary>An unknown word first of all: a missing command or argument usually follows from it.</summary>
    private static IReadOnlyList<string> Problems(ParseResult parsed)
    {
        var unknown = parsed.Errors.Where(e => parsed.UnmatchedTokens.Any(t => e.Message.Contains($"'{t}'", StringComparison.Ordinal)))
            .ToList();
        return [.. (unknown.Count > 0 ? unknown : parsed.Errors)
            .Select(e => string.Join(' ', e.Message.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)))];
    }

    private static string? Hint(ParseResult parsed)
    {
        var wrong = parsed.UnmatchedTokens.Count > 0 ? parsed.UnmatchedTokens[0] : null;
        var command = parsed.CommandResult.Command;
        var known = command.Subcommands.Select(c => c.Name).Concat(command.Options.Select(o => o.Name)).ToList();
        var near = wrong is null ? null : NearestName.Of(wrong, known);
        var path = command is RootCommand ? "compress" : $"compress {command.Name}";
        return (near is null ? "" : $"Did you mean '{near}'? ") + $"See {path} --help.";
    }

    private sealed class HelpWithExample(HelpAction help, string example) : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            var result = help.Invoke(parseResult);
            parseResult.InvocationConfiguration.Output.WriteLine(example.TrimEnd());
            return result;
        }
    }
}
