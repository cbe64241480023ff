using System.Diagnostics;

namespace Compress.Cli.Tests;

public sealed class InterruptTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("compress-interrupt-");

    public void Dispose() => folder.Delete(recursive: true);

    private string[] Train(int steps, params string[] set) =>
    [
        "train", Recipe(), "--output", Path.Combine(folder.FullName, "run"),
        .. set.Append($"training.steps={steps}").SelectMany(s => new[] { "--set", s }), "--resume",
    ];

    private string Recipe()
    {
        var path = Path.Combine(folder.FullName, "tiny.yaml");
        File.WriteAllText(path, $$"""
            corpus: { source: data/calibration.txt }
            tokenizer: { vocabulary_size: 300 }
            model: { hidden_size: 16, intermediate_size: 32, layers: 1, heads: 2, key_value_heads: 1, head_size: 8, context: 16 }
            training: { batch_size: 1, warmup_steps: 1, checkpoint_every: 50, precision: f32 }
            output: {{Path.Combine(folder.FullName, "model")}}
            """);
        return path;
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public async Task A_signal_ends_the_work_cleanly_and_says_how_to_go_on(string signal)
    {
        using var process = Cli.Start(Train(10_000_000), ("TERM", "xterm-256color"));
        process.StandardInput.Close();
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        var log = Path.Combine(folder.FullName, "run", "log.jsonl");
        while (!File.Exists(log) && !process.HasExited) await Task.Delay(50);
        await Process.Start("kill", ["-s", signal, $"{process.Id}"]).WaitForExitAsync();
        await process.WaitForExitAsync();
        Assert.Equal(ExitCode.Interrupted, process.ExitCode);
        Assert.Contains("Stopping.", await error);
        Assert.Contains("Go on with: compress train", await error);
        Assert.DoesNotContain('\u001b', await error);
        Assert.Empty(await output);
        Assert.True(File.Exists(Path.Combine(folder.FullName, "run", "checkpoint.bin")));
    }

    /// <summary>A step of some seconds: the first signal is heard, but nothing can stop cleanly before the second.</summary>
    [Fact]
    public async Task A_second_signal_ends_the_program_at_once()
    {
        string[] slow = ["model.hidden_size=256", "model.intermediate_size=1024", "model.heads=8", "model.head_size=32",
            "model.layers=8", "training.batch_size=1024"];
        using var process = Cli.Start(Train(10_000_000, slow));
        process.StandardInput.Close();
        var log = Path.Combine(folder.FullName, "run", "log.jsonl");
        while (!File.Exists(log) && !process.HasExited) await Task.Delay(50);
        await Task.Delay(300);
        await Process.Start("kill", ["-s", "INT", $"{process.Id}"]).WaitForExitAsync();
        string? line;
        do line = await process.StandardError.ReadLineAsync();
        while (line?.StartsWith("Stopping.", StringComparison.Ordinal) == false);
        Assert.NotNull(line);
        await Process.Start("kill", ["-s", "INT", $"{process.Id}"]).WaitForExitAsync();
        await process.WaitForExitAsync();
        Assert.Equal(130, process.ExitCode);
    }

    [Fact]
    public async Task An_unfinished_training_is_not_begun_again_by_accident()
    {
        Directory.CreateDirectory(Path.Combine(folder.FullName, "run"));
        File.WriteAllText(Path.Combine(folder.FullName, "run", "checkpoint.bin"), "");
        var result = await Cli.RunAsync(Train(10)[..^1]);
        Assert.Equal(ExitCode.RecipeWrong, result.Code);
        Assert.Contains("Add --resume", result.Error);
    }
}
