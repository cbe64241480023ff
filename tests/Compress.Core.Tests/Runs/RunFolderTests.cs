using Compress.Core.Runs;

namespace Compress.Core.Tests.Runs;

public sealed class RunFolderTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_folder_with_a_run_is_taken_only_to_resume()
    {
        var path = folder.At("a", "b");
        using (var run = RunFolder.Take(path, resume: false))
        {
            Assert.False(run.HasRun);
            run.Write(RunFolder.RunFile, "{}");
        }
        var failure = Assert.Throws<RunException>(() => RunFolder.Take(path, resume: false));
        Assert.Contains("--resume", failure.Message, StringComparison.Ordinal);
        using var resumed = RunFolder.Take(path, resume: true);
        Assert.True(resumed.HasRun);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_folder_that_holds_something_else_is_refused(bool resume)
    {
        File.WriteAllText(folder.At("thesis.docx"), "precious");
        var failure = Assert.Throws<RunException>(() => RunFolder.Take(folder.Path, resume));
        Assert.Contains("thesis.docx", failure.Message, StringComparison.Ordinal);
        Assert.Equal("precious", File.ReadAllText(folder.At("thesis.docx")));
    }

    [Fact]
    public void What_is_left_of_a_run_killed_before_its_first_file_is_no_obstacle()
    {
        File.WriteAllText(folder.At("run.json.partial"), "{");
        File.WriteAllText(folder.At("run.lock"), "process 1");
        using var run = RunFolder.Take(folder.Path, resume: true);
        Assert.False(run.HasRun);
    }

    [Fact]
    public void Only_one_holder_at_a_time()
    {
        var run = RunFolder.Take(folder.Path, resume: true);
        var failure = Assert.Throws<RunException>(() => RunFolder.Take(folder.Path, resume: true));
        Assert.Contains("in use by another process", failure.Message, StringComparison.Ordinal);
        run.Dispose();
        RunFolder.Take(folder.Path, resume: true).Dispose();
    }

    [Fact]
    public void A_write_that_fails_leaves_the_old_file()
    {
        using var run = RunFolder.Take(folder.Path, resume: true);
        run.Write("metrics.json", "old");
        var full = new IOException("No space left on device");
        var failure = Assert.Throws<RunException>(() => run.Write("metrics.json", stream =>
        {
            stream.WriteByte(1);
            throw full;
        }));
        Assert.Contains("No space left", failure.Message, StringComparison.Ordinal);
        Assert.Contains("--resume", failure.Message, StringComparison.Ordinal);
        Assert.Equal("old", File.ReadAllText(folder.At("metrics.json")));
    }

    [Fact]
    public void A_folder_that_cannot_be_made_is_named()
    {
        File.WriteAllText(folder.At("file"), "");
        var failure = Assert.Throws<RunException>(() => RunFolder.Take(folder.At("file", "run"), resume: false));
        Assert.Contains(folder.At("file", "run"), failure.Message, StringComparison.Ordinal);
    }
}
