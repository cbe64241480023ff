using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Runs;

namespace Compress.Core.Tests.Runs;

public sealed class JournalTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    private string File => folder.At("journal.jsonl");

    private static JournalEntry[] Entries =>
    [
        new CalibrationDrawn("aa", 0.5),
        new PartFinished(1, "block-00000", "bb", 12, 0.5, [Report("a")]),
        new StageFinished(1, 1.25),
        new RunFinished(4096),
    ];

    private static SiteReport Report(string site) => new()
    {
        Stage = 1,
        Method = "gptq",
        Site = site,
        Role = SiteRole.Down,
        Block = 0,
        Rows = 3,
        Columns = 4,
        Zeros = 0.1,
        WeightError = 1e-300,
        OutputError = double.NaN,
        Rung = Rung.DoublePrecision,
        Notes = ["A note with ünusual \"characters\"."],
    };

    private void WriteAll()
    {
        using var journal = Journal.Open(File);
        foreach (var entry in Entries) journal.Append(entry);
    }

    [Fact]
    public void Everything_appended_is_read_again()
    {
        WriteAll();
        using var journal = Journal.Open(File);
        Assert.Equal(Entries.Length, journal.Entries.Count);
        var part = Assert.IsType<PartFinished>(journal.Entries[1]);
        var (expected, actual) = (Report("a"), part.Sites.Single());
        Assert.Equal(expected.Notes, actual.Notes);
        Assert.Equal(expected with { Notes = [] }, actual with { Notes = [] });
        Assert.Equal(new RunFinished(4096), journal.Entries[3]);
    }

    /// <summary>Whatever length the file has when the process dies, the whole lines count and the next append follows them.</summary>
    [Fact]
    public void A_journal_cut_anywhere_keeps_its_whole_lines()
    {
        WriteAll();
        var whole = System.IO.File.ReadAllBytes(File);
        var lineEnds = whole.Index().Where(b => b.Item == '\n').Select(b => b.Index);
        foreach (var length in lineEnds.SelectMany(end => new[] { end - 1, end, end + 1 }).Concat([0, 1, 40, 200]))
        {
            System.IO.File.WriteAllBytes(File, whole[..length]);
            var lines = whole[..length].Count(b => b == '\n');
            using (var journal = Journal.Open(File))
            {
                Assert.Equal(lines, journal.Entries.Count);
                journal.Append(new RunFinished(1));
            }
            using var again = Journal.Open(File);
            Assert.Equal(lines + 1, again.Entries.Count);
            Assert.Equal(new RunFinished(1), again.Entries[^1]);
        }
    }

    [Fact]
    public void A_last_line_of_garbage_is_dropped_and_one_in_the_middle_is_refused()
    {
        WriteAll();
        System.IO.File.AppendAllText(File, "\0\0\0\0\n");
        using (var journal = Journal.Open(File)) Assert.Equal(Entries.Length, journal.Entries.Count);

        var lines = System.IO.File.ReadAllLines(File);
        lines[1] = "{\"event\":\"part_finished\",";
        System.IO.File.WriteAllLines(File, lines);
        var failure = Assert.Throws<RunException>(() => Journal.Open(File));
        Assert.Contains("line 2", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Truncated_entries_are_gone_from_the_file()
    {
        WriteAll();
        using (var journal = Journal.Open(File))
        {
            journal.Truncate(2);
            journal.Append(new StageFinished(7, 0));
        }
        using var again = Journal.Open(File);
        Assert.Equal(3, again.Entries.Count);
        Assert.Equal(new StageFinished(7, 0), again.Entries[2]);
    }
}
