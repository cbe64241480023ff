using System.Globalization;
using Compress.Core.Progress;

namespace Compress.Cli.Terminal;

/// <summary>
/// Run events as plain lines for logs and pipes. A phase of less than two seconds leaves only its summary; a longer one says how
/// far it is and when it will end, at most once in <see cref="Interval"/>.
/// </summary>
/// <param name="writer">Takes the lines.</param>
/// <param name="clock">Tells the time.</param>
internal sealed class PlainProgress(TextWriter writer, TimeProvider clock) : IProgress<RunEvent>
{
    /// <summary>Time between two lines of one phase.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>A phase shows itself only after this time.</summary>
    public static readonly TimeSpan Quiet = TimeSpan.FromSeconds(2);

    private readonly Lock gate = new();
    private PhaseStarted? phase;
    private long began;
    private TimeSpan lastLine;

    /// <inheritdoc/>
    public void Report(RunEvent value)
    {
        lock (gate)
        {
            switch (value)
            {
                case PhaseStarted started:
                    (phase, began, lastLine) = (started, clock.GetTimestamp(), TimeSpan.Zero);
                    break;
                case PhaseAdvanced advanced when phase is not null:
                    Advance(advanced);
                    break;
                case PhaseEnded ended when phase is not null:
                    End(ended);
                    break;
                case Warning warning:
                    writer.WriteLine(Printable.Of($"warning: {warning.Text}"));
                    break;
            }
        }
    }

    private void Advance(PhaseAdvanced advanced)
    {
        var elapsed = clock.GetElapsedTime(began);
        var due = lastLine == TimeSpan.Zero ? Quiet : lastLine + Interval;
        if (elapsed < due) return;
        lastLine = elapsed;
        var total = phase!.Total;
        var of = total is null ? "" : string.Create(CultureInfo.InvariantCulture, $" of {total:N0}");
        var left = total > advanced.Done && advanced.Done > 0
            ? $", {Human.Duration(elapsed / advanced.Done * (total.Value - advanced.Done))} left"
            : "";
        var detail = advanced.Detail is null ? "" : $", {advanced.Detail}";
        writer.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{phase.Name}: {advanced.Done:N0}{of} {phase.Unit}{left}{Printable.Of(detail)}"));
    }

    private void End(PhaseEnded ended)
    {
        if (Ending(phase!, ended, clock.GetElapsedTime(began)) is { } line) writer.WriteLine(line);
        phase = null;
    }

    /// <summary>The line that a phase leaves behind; null where it was short and has nothing to say.</summary>
    /// <param name="phase">The phase.</param>
    /// <param name="ended">Its end.</param>
    /// <param name="elapsed">How long it took.</param>
    public static string? Ending(PhaseStarted phase, PhaseEnded ended, TimeSpan elapsed) =>
        ended.Summary is null && elapsed < Quiet ? null : $"{phase.Name}: {ended.Summary ?? "done"} ({Human.Duration(elapsed)})";
}
