using System.Text.RegularExpressions;
using Compress.Cli.Terminal;
using Compress.Core.Progress;
using Spectre.Console;

namespace Compress.Cli.Tests;

public sealed class TerminalTests
{
    private sealed class HandClock : TimeProvider
    {
        public long Ticks { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Ticks;
    }

    [Fact]
    public void Plain_progress_is_throttled_and_tells_the_time_left()
    {
        using var text = new StringWriter { NewLine = "\n" };
        var clock = new HandClock();
        var progress = new PlainProgress(text, clock);
        progress.Report(new PhaseStarted("prune", 100, "sites"));
        for (var i = 1; i <= 100; i++)
        {
            clock.Ticks += TimeSpan.TicksPerSecond / 10;
            progress.Report(new PhaseAdvanced(i, $"site {i}"));
        }
        progress.Report(new PhaseEnded("mean error 0.1"));
        progress.Report(new PhaseStarted("short", null, "windows"));
        clock.Ticks += TimeSpan.TicksPerSecond;
        progress.Report(new PhaseAdvanced(3));
        progress.Report(new PhaseEnded());
        progress.Report(new Warning("Two sites saw no tokens."));
        Assert.Equal("""
            prune: 20 of 100 sites, 8.0 s left, site 20
            prune: 70 of 100 sites, 3.0 s left, site 70
            prune: mean error 0.1 (10.0 s)
            warning: Two sites saw no tokens.

            """, text.ToString());
    }

    [Fact]
    public async Task Live_progress_shows_names_as_they_are_and_keeps_warnings()
    {
        using var text = new StringWriter();
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(text),
            Ansi = AnsiSupport.Yes,
            Interactive = InteractionSupport.Yes,
            ColorSystem = ColorSystemSupport.NoColors,
        });
        console.Profile.Width = 120;
        var result = await LiveProgress.RunAsync(console, async progress =>
        {
            progress.Report(new PhaseStarted("stage [1]", 2, "sites"));
            progress.Report(new PhaseAdvanced(1, "site [a/b]" + new string('x', 200)));
            await Task.Delay(400);
            progress.Report(new Warning("One [odd] thing."));
            progress.Report(new PhaseEnded("mean error [0.1]"));
            progress.Report(new PhaseStarted("unknown length", null, "windows"));
            progress.Report(new PhaseAdvanced(1));
            progress.Report(new PhaseEnded());
            return 7;
        });
        Assert.Equal(7, result);
        Assert.Contains("warning: One [odd] thing.", text.ToString());
        Assert.Contains("stage [1]: mean error [0.1] (", text.ToString());
        Assert.Contains("site [a/b]xxx", text.ToString());
        // Nothing wraps: whatever the detail, the bar stays one line.
        Assert.All(Regex.Replace(text.ToString(), "\u001b\\[[0-9;?]*[A-Za-z]", "").Split('\n', '\r'), line =>
            Assert.True(line.Length <= 120));
        Assert.Contains(" 50% ", text.ToString());
        Assert.Contains("\u001b[", text.ToString());
    }

    [Fact]
    public void A_table_aligns_its_columns()
    {
        using var text = new StringWriter { NewLine = "\n" };
        var table = new TextTable("name", ">bytes");
        table.Add("a", "1");
        table.Add("long name", "123,456");
        table.Write(text);
        Assert.Equal("""
            name         bytes
            ---------  -------
            a                1
            long name  123,456

            """, text.ToString());
    }

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(999, "999 B")]
    [InlineData(1000, "1.00 kB")]
    [InlineData(9994, "9.99 kB")]
    [InlineData(99_940, "99.9 kB")]
    [InlineData(999_600, "1.00 MB")]
    [InlineData(2_200_000_000, "2.20 GB")]
    public void Bytes_have_three_digits(long bytes, string text) => Assert.Equal(text, Human.Bytes(bytes));

    [Theory]
    [InlineData(0.004, "4 ms")]
    [InlineData(4.24, "4.2 s")]
    [InlineData(59.96, "1:00")]
    [InlineData(187, "3:07")]
    [InlineData(7387, "2:03:07")]
    [InlineData(360000, "100:00:00")]
    public void Durations_read_well(double seconds, string text) => Assert.Equal(text, Human.Duration(TimeSpan.FromSeconds(seconds)));
}
