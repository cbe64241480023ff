using System.CommandLine;
using System.Reflection;
using System.Runtime.InteropServices;
using Compress.Core.Recipes;
using Compress.Core.Runs;
using Compress.Core.Torch;
using Compress.Formats;

namespace Compress.Cli;

/// <summary>Runs a command's action: signals become cancellation, exceptions become messages and exit codes.</summary>
/// <param name="output">Takes results.</param>
/// <param name="error">Takes progress, warnings and errors.</param>
/// <param name="json">The <c>--json</c> option.</param>
internal sealed class CommandHost(TextWriter output, TextWriter error, Option<bool> json) : IDisposable
{
    private readonly CancellationTokenSource cancellation = new();
    private readonly List<PosixSignalRegistration> signals = [];

    /// <summary>Where bugs are reported.</summary>
    private const string ReportTo = "Please report it with the recipe and this message; COMPRESS_DEBUG=1 shows where it happened.";

    /// <summary>Makes a command's action of its work.</summary>
    /// <param name="command">The command.</param>
    /// <param name="work">Its work; returns an <see cref="ExitCode"/>.</param>
    public void Attach(Command command, Func<ParseResult, CommandSession, Task<int>> work) =>
        command.SetAction((parsed, _) => RunAsync(parsed, work));

    /// <summary>Reports a wrong command line.</summary>
    public int Refuse(ParseResult parsed, IReadOnlyList<string> problems, string? hint)
    {
        var message = string.Join(Environment.NewLine, problems);
        return Session(parsed).Fail(ExitCode.RecipeWrong, hint is null ? message : $"{message} {hint}");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var signal in signals) signal.Dispose();
        cancellation.Dispose();
    }

    private CommandSession Session(ParseResult parsed) => new(output, error, parsed.GetValue(json), cancellation.Token);

    private async Task<int> RunAsync(ParseResult parsed, Func<ParseResult, CommandSession, Task<int>> work)
    {
        var session = Session(parsed);
        Listen(PosixSignal.SIGINT);
        Listen(PosixSignal.SIGTERM);
        try
        {
            return await work(parsed, session);
        }
        catch (Exception e)
        {
            return Explain(session, e);
        }
    }

    /// <summary>The first signal asks the work to stop at a clean point; the second one does what signals do.</summary>
    private void Listen(PosixSignal signal) => signals.Add(PosixSignalRegistration.Create(signal, context =>
    {
        if (cancellation.IsCancellationRequested) return;
        context.Cancel = true;
        error.WriteLine("Stopping. A second Ctrl-C ends the program at once.");
        cancellation.Cancel();
    }));

    private static int Explain(CommandSession session, Exception exception)
    {
        var cause = Unwrap(exception);
        var code = cause switch
        {
            RunInterruptedException stopped => session.Fail(ExitCode.Interrupted, stopped.Message),
            OperationCanceledException => session.Fail(ExitCode.Interrupted, $"interrupted. {session.ResumeHint}".TrimEnd()),
            RecipeException recipe => session.Fail(ExitCode.RecipeWrong, recipe.Message, recipe.Problems),
            ModelFileException and not FileWriteException => session.Fail(ExitCode.ModelWrong, cause.Message),
            CompressException or TorchLoadException => session.Fail(ExitCode.RecipeWrong, cause.Message),
            _ => session.Fail(ExitCode.Bug, $"this is a bug in compress: {cause.GetType().Name}: {cause.Message} {ReportTo}"),
        };
        if (Environment.GetEnvironmentVariable("COMPRESS_DEBUG") == "1") session.Error.WriteLine(exception);
        return code;
    }

    private static Exception Unwrap(Exception exception) => exception switch
    {
        AggregateException { InnerExceptions: [var only] } => Unwrap(only),
        TargetInvocationException { InnerException: { } inner } => Unwrap(inner),
        // libtorch could not be loaded before the first use of the type that needs it.
        TypeInitializationException { InnerException: { } inner } => Unwrap(inner),
        _ => exception,
    };
}
