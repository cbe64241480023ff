using Compress.Core.Progress;
using Spectre.Console;

namespace Compress.Cli.Terminal;

/// <summary>Run events as live bars with the time left, one for each phase.</summary>
internal sealed class LiveProgress : IProgress<RunEvent>
{
    private readonly IAnsiConsole console;
    private readonly ProgressContext context;
    private readonly Lock gate = new();
    private ProgressTask? task;
    private PhaseStarted? phase;

    private LiveProgress(IAnsiConsole console, ProgressContext context) => (this.console, this.context) = (console, context);

    /// <summary>Runs work whose events are shown until it ends.</summary>
    public static Task<T> RunAsync<T>(IAnsiConsole console, Func<IProgress<RunEvent>, Task<T>> work) => console.Progress()
        .Columns(
            new TaskDescriptionColumn { Alignment = Justify.Left },
            new ProgressBarColumn(),
            new PercentageColumn(),
            new RemainingTimeColumn(),
            new ElapsedTimeColumn())
        .StartAsync(context => Task.Run(() => work(new LiveProgress(console, context))));

    /// <inheritdoc/>
    public void Report(RunEvent value)
    {
        lock (gate)
        {
            switch (value)
            {
                case PhaseStarted started:
                    phase = started;
                    task = context.AddTask(Markup.Escape(started.Name), autoStart: true, maxValue: Math.Max(1, started.Total ?? 1));
                    task.IsIndeterminate = started.Total is null;
                    break;
                case PhaseAdvanced advanced when task is not null:
                    Advance(advanced);
                    break;
                case PhaseEnded ended when task is not null:
                    End(ended);
                    break;
                case Warning warning:
                    console.MarkupLineInterpolated($"[yellow]warning:[/] {warning.Text}");
                    break;
            }
        }
    }

    private void Advance(PhaseAdvanced advanced)
    {
        if (phase!.Total is not null) task!.Value = advanced.Done;
        if (advanced.Detail is not null) task!.Description = $"{Markup.Escape(phase.Name)} [dim]{Markup.Escape(advanced.Detail)}[/]";
    }

    private void End(PhaseEnded ended)
    {
        task!.IsIndeterminate = false;
        task.Value = task.MaxValue;
        task.Description = Markup.Escape(ended.Summary is null ? phase!.Name : $"{phase!.Name}: {ended.Summary}");
        task.StopTask();
        task = null;
    }
}
