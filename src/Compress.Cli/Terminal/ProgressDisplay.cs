using Compress.Core.Progress;
using Spectre.Console;

namespace Compress.Cli.Terminal;

/// <summary>Shows run events: a live bar on a terminal, plain lines everywhere else.</summary>
internal static class ProgressDisplay
{
    /// <summary>Runs work whose events are shown until it ends.</summary>
    /// <param name="error">Standard error, or what stands in for it.</param>
    /// <param name="work">Reports its events.</param>
    public static async Task<T> RunAsync<T>(TextWriter error, Func<IProgress<RunEvent>, Task<T>> work)
    {
        if (IsTerminal(error)) return await LiveProgress.RunAsync(Terminal(error), work);
        var plain = new PlainProgress(error, TimeProvider.System);
        return await work(plain);
    }

    private static bool IsTerminal(TextWriter error) =>
        ReferenceEquals(error, Console.Error) && !Console.IsErrorRedirected
        && Environment.GetEnvironmentVariable("TERM") is not (null or "" or "dumb");

    private static IAnsiConsole Terminal(TextWriter error) => AnsiConsole.Create(new AnsiConsoleSettings
    {
        Out = new AnsiConsoleOutput(error),
        Ansi = AnsiSupport.Yes,
        Interactive = InteractionSupport.Yes,
        ColorSystem = Environment.GetEnvironmentVariable("NO_COLOR") is { Length: > 0 }
            ? ColorSystemSupport.NoColors
            : ColorSystemSupport.Detect,
    });
}
