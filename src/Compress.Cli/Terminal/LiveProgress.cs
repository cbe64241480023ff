using Compress.Core.Progress;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Compress.Cli.Terminal;

/// <summary>Run events on a terminal: a bar with the time left for the current phase, and a line for each phase that ended.</summary>
internal sealed class LiveProgress : IProgress<RunEvent>
{
    private const int NameWidth = 34;
    private const int BarWidth = 20;

    /// <summary>Name, bar, percentage and two times with their margins.</summary>
    private const int WidthWithoutDetail = NameWidth + BarWidth + 28;

    private readonly IAnsiConsole console;
    private readonly ProgressContext context;
    private readonly Lock gate = new();
    private ProgressTask? task;
    private PhaseStarted? phase;

    private LiveProgress(IAnsiConsole console, ProgressContext context) => (this.console, this.context) = (console, context);

    /// <summary>Runs work whose events are shown until it ends.</summary>
    public static Task<T> RunAsync<T>(IAnsiConsole console, Func<IProgress<RunEvent>, Task<T>> work) => console.Progress()
        .AutoClear(true)
        .Columns(
            new TaskDescriptionColumn { Alignment = Justify.Left },
            new ProgressBarColumn { Width = BarWidth },
            new PercentageColumn(),
            new ElapsedTimeColumn(),
            new RemainingTimeColumn(),
            new DetailColumn(console.Profile.Width - WidthWithoutDetail))
        .StartAsync(context => Task.Run(() => work(new LiveProgress(console, context))));

    /// <inheritdoc/>
    public void Report(RunEvent value)
    {
        lock (gate)
        {
            switch (value)
            {
                case PhaseStarted started:
                    Begin(started);
                    break;
                case PhaseAdvanced advanced when task is not null:
                    if (phase!.Total is not null) task.Value = advanced.Done;
                    task.Tag = advanced.Detail;
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

    private void Begin(PhaseStarted started)
    {
        // A phase that a failure left open makes room for the next one.
        if (task is not null) context.RemoveTask(task);
        phase = started;
        task = context.AddTask(Markup.Escape(Cut(started.Name, NameWidth)), autoStart: true, maxValue: Math.Max(1, started.Total ?? 1));
        task.IsIndeterminate = started.Total is null;
    }

    private void End(PhaseEnded ended)
    {
        var elapsed = task!.ElapsedTime ?? TimeSpan.Zero;
        context.RemoveTask(task);
        task = null;
        if (PlainProgress.Ending(phase!, ended, elapsed) is { } line) console.WriteLine(line);
    }

    private static string Cut(string text, int width) => text.Length <= width ? text : width < 2 ? "" : text[..(width - 1)] + "…";

    /// <summary>What was just done, as far as the line has room for it.</summary>
    private sealed class DetailColumn(int width) : ProgressColumn
    {
        protected override bool NoWrap => true;

        public override IRenderable Render(RenderOptions options, ProgressTask task, TimeSpan deltaTime) =>
            new Text(Cut(task.Tag as string ?? "", width), new Style(decoration: Decoration.Dim));
    }
}
