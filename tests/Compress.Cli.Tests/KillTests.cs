using System.Security.Cryptography;

namespace Compress.Cli.Tests;

public sealed class KillTests : IDisposable
{
    private readonly TinyModel tiny = new();

    public void Dispose() => tiny.Dispose();

    /// <summary>SIGKILL as soon as the journal has grown, again and again until the run gets through: what it leaves is what an undisturbed run leaves.</summary>
    [Fact]
    public async Task A_run_that_is_killed_again_and_again_ends_with_the_same_bytes()
    {
        var recipe = tiny.Write("killed.yaml", $$"""
            model: {{tiny.Model}}
            calibration: { data: {{tiny.Text}}, samples: 4, length: 64 }
            stages:
              - prune: { method: wanda, pattern: "2:4" }
              - quantize: { method: gptq, bits: 4, group_size: 32, keep: sparsity }
            export:
              - { format: hf, to: model }
              - { format: compressed-tensors, to: packed }
            """);
        Assert.Equal(0, (await Cli.RunProcessAsync(["run", recipe, "--output", tiny.At("whole")])).Code);
        var kills = 0;
        while (true)
        {
            using var process = Cli.Start(["run", recipe, "--output", tiny.At("killed"), "--resume"]);
            process.StandardInput.Close();
            var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
            var journal = new FileInfo(tiny.At("killed/journal.jsonl"));
            var before = journal.Exists ? journal.Length : 0;
            while (kills < 4 && !process.HasExited && (!journal.Exists || journal.Length == before))
            {
                await Task.Delay(1);
                journal.Refresh();
            }
            if (kills++ < 4) process.Kill();
            await process.WaitForExitAsync();
            var text = await output + await error;
            if (process.ExitCode == 0) break;
            Assert.True(kills <= 4, text);
        }
        Assert.True(kills > 1, "nothing was killed");
        Assert.Equal(Hashes("whole"), Hashes("killed"));
    }

    private SortedDictionary<string, string> Hashes(string name)
    {
        string[] timed = ["journal.jsonl", "metrics.json", "run.lock", "recipe.yaml", "run.json"];
        var hashes = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var file in Directory.EnumerateFiles(tiny.At(name), "*", SearchOption.AllDirectories).Where(f => !timed.Contains(Path.GetFileName(f))))
            hashes.Add(Path.GetRelativePath(tiny.At(name), file), Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file))));
        return hashes;
    }
}
