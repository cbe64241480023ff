namespace Compress.Cli.Tests;

public sealed class RunCommandTests : IDisposable
{
    private readonly TinyModel tiny = new();

    public void Dispose() => tiny.Dispose();

    private string Recipe() => tiny.Write("small.yaml", $$"""
        model: {{tiny.Model}}
        calibration: { data: {{tiny.Text}}, samples: 4, length: 64 }
        stages:
          - prune: { method: wanda, pattern: "2:4" }
        evaluate:
          - perplexity: { data: {{tiny.Text}}, window: 64, max_windows: 4 }
          - divergence:
        export:
          - { format: hf, to: model }
        """);

    [Fact]
    public async Task A_run_compresses_exports_and_measures()
    {
        var run = tiny.At("run");
        var result = await Cli.RunAsync("run", Recipe(), "--output", run, "--json");
        Assert.True(result.Code == 0, result.Error);
        var report = result.Json;
        Assert.Equal("small", (string)report["name"]!);
        Assert.Equal(0.5, (double)report["exports"]![0]!["figures"]!["zeros"]!, 3);
        var measured = report["evaluations"]![0]!;
        Assert.Equal("gptq", (string)measured["protocol"]!);
        Assert.Equal(4, (int)measured["windows"]!);
        Assert.True((double)measured["kl_mean"]! > 0);

        var inspected = (await Cli.RunAsync("inspect", Path.Combine(run, "model"), "--sparsity", "--json")).Json;
        Assert.Equal(0.5, (double)inspected["zeros"]!, 3);

        var evaluated = (await Cli.RunAsync(
            "evaluate", Path.Combine(run, "model"), "--text", tiny.Text, "--window", "64", "--max-windows", "4", "--against", tiny.Model,
                "--json")).Json;
        foreach (var key in new[] { "perplexity", "bits_per_byte", "tokens", "windows", "kl_mean", "top1_agreement" })
            Assert.Equal((double)measured[key]!, (double)evaluated[key]!, 10);

        var again = await Cli.RunAsync("run", Recipe(), "--output", run);
        Assert.Equal(ExitCode.RecipeWrong, again.Code);
        Assert.Contains("--resume", again.Error);
        var resumed = await Cli.RunAsync("run", Recipe(), "--output", run, "--resume");
        Assert.Equal(0, resumed.Code);
        Assert.Contains("perplexity", resumed.Output);
        Assert.Contains("share of zeros, compressed linears", resumed.Output);
        Assert.DoesNotContain('\u001b', resumed.Output + resumed.Error);
    }

    [Fact]
    public async Task The_engine_measures_what_was_exported()
    {
        var run = tiny.At("run");
        var recipe = tiny.Write("engine.yaml", $$"""
            model: {{tiny.Model}}
            stages: [{ quantize: { method: rtn, bits: 4, group_size: 64 } }]
            evaluate:
              - perplexity: { data: {{tiny.Text}}, window: 64, max_windows: 4 }
              - perplexity: { data: {{tiny.Text}}, window: 64, max_windows: 4, engine: runtime, export: packed }
              - divergence:
              - speed: { prompt: 32, generate: 8, repetitions: 2, threads: 1 }
            export: [{ format: compressed-tensors, to: packed }, { format: hf, to: model }]
            """);
        var result = await Cli.RunAsync("run", recipe, "--output", run, "--json");
        Assert.True(result.Code == 0, result.Error);
        var (torch, engine) = (result.Json["evaluations"]![0]!, result.Json["evaluations"]![1]!);
        Assert.Equal(("torch/cpu", "runtime"), ((string)torch["engine"]!, (string)engine["engine"]!));
        // The engine may round activations: near, and not the same code.
        Assert.Equal(1, (double)engine["perplexity"]! / (double)torch["perplexity"]!, 0.02);
        Assert.Equal(1, (double)engine["kl_mean"]! / (double)torch["kl_mean"]!, 0.1);
        var speed = result.Json["speeds"]![0]!;
        Assert.Equal("model", (string)speed["export"]!);
        foreach (var side in new[] { speed["original"]!, speed["result"]! })
        {
            Assert.Equal((32, 8), ((int)side["prompt_tokens"]!, (int)side["generate_tokens"]!));
            Assert.True((double)side["generate_tokens_per_second"]! > 0 && (double)side["bandwidth_share"]! > 0);
        }
        var shown = await Cli.RunAsync("run", recipe, "--output", run, "--resume");
        Assert.Contains("generating 8, tokens/s", shown.Output);

        string[] arguments = ["evaluate", Path.Combine(run, "packed"), "--text", tiny.Text, "--window", "64", "--max-windows", "4", "--json"];
        Assert.Equal("runtime", (string)(await Cli.RunAsync(arguments)).Json["engine"]!);
        Assert.Equal("torch/cpu", (string)(await Cli.RunAsync([.. arguments, "--engine", "torch"])).Json["engine"]!);
    }

    [Fact]
    public async Task A_gate_passes_what_it_was_made_of_and_fails_what_was_damaged()
    {
        var (run, baseline, junit) = (tiny.At("run"), tiny.At("baseline.json"), tiny.At("junit.xml"));
        Assert.Equal(0, (await Cli.RunAsync("run", Recipe(), "--output", run)).Code);
        Assert.Equal(0, (await Cli.RunAsync("check", run, "--baseline", baseline, "--update")).Code);
        var same = await Cli.RunAsync("check", run, "--baseline", baseline, "--junit", junit, "--json");
        Assert.True(same.Code == 0, same.Error + same.Output);
        Assert.Contains("failures=\"0\"", File.ReadAllText(junit));
        var damaged = tiny.At("damaged");
        Assert.Equal(0, (await Cli.RunAsync("run", Recipe(), "--output", damaged, "--set", "stages.0.prune.pattern=1:4")).Code);
        var worse = await Cli.RunAsync("check", damaged, "--baseline", baseline);
        Assert.Equal(ExitCode.GateFailed, worse.Code);
        Assert.Contains("KL divergence was", worse.Output);
        var lines = worse.Output.Split('\n');
        Assert.DoesNotContain("stage", lines[0]);
        Assert.Contains(lines, l => l.StartsWith("worse: stage 1, model.layers.", StringComparison.Ordinal));

        string[] model = ["check", tiny.Model, "--baseline", tiny.At("model.json")];
        Assert.Contains("--text FILE", (await Cli.RunAsync(model)).Error);
        string[] text = ["--text", tiny.Text, "--max-windows", "2"];
        Assert.Equal(ExitCode.RecipeWrong, (await Cli.RunAsync([.. model, .. text])).Code);
        Assert.Equal(0, (await Cli.RunAsync([.. model, .. text, "--update"])).Code);
        Assert.Equal(0, (await Cli.RunAsync([.. model, .. text])).Code);
    }

    [Fact]
    public async Task A_benchmark_has_the_promised_keys()
    {
        var result = await Cli.RunAsync("benchmark", tiny.Model, "--prompt", "16", "--generate", "4", "--repetitions", "1", "--threads", "1", "--json");
        Assert.True(result.Code == 0, result.Error);
        foreach (var key in new[] { "prompt_tokens_per_second", "generate_tokens_per_second", "peak_rss_bytes", "weight_bytes" })
            Assert.True((double)result.Json[key]! > 0, key);
        Assert.True((double)result.Json["machine"]!["read_bytes_per_second"]! > 0);
        var refused = await Cli.RunAsync("benchmark", tiny.Model, "--prompt", "129");
        Assert.Equal(ExitCode.RecipeWrong, refused.Code);
        Assert.Contains("context of 128", refused.Error);
    }

    [Fact]
    public async Task A_packed_export_is_inspected_as_it_is_stored()
    {
        var recipe = tiny.Write("packed.yaml", $$"""
            model: {{tiny.Model}}
            stages: [{ quantize: { method: rtn, bits: 4, group_size: 64 } }]
            export: [{ format: compressed-tensors, to: packed }]
            """);
        var planned = (await Cli.RunAsync("plan", recipe, "--json")).Json;
        var result = await Cli.RunAsync("run", recipe, "--output", tiny.At("run"), "--json");
        Assert.True(result.Code == 0, result.Error);
        var packed = (await Cli.RunAsync("inspect", tiny.At("run/packed"), "--json")).Json;
        Assert.Equal((long)planned["parameters"]!, (long)packed["parameters"]!);
        // Each of the 14 sites also stores its shape, two 64-bit numbers, which the plan leaves out.
        Assert.Equal((long)planned["bytes_after"]! + (14 * 16), (long)packed["bytes"]!);
    }

    [Fact]
    public async Task A_run_that_cannot_work_writes_nothing()
    {
        var (recipe, run) = (Recipe(), tiny.At("run"));
        var before = tiny.Files();
        var result = await Cli.RunAsync("run", recipe, "--output", run, "--set", "stages.0.pattern=3:7", "--set",
            "evaluate.0.protocol=gpt");
        Assert.Equal(ExitCode.RecipeWrong, result.Code);
        Assert.Contains("divisible by 7", result.Error);
        Assert.Contains("Did you mean 'gptq'?", result.Error);
        Assert.Equal(before, tiny.Files());
        Assert.False(Directory.Exists(run));
    }

    [Theory]
    [InlineData(ExitCode.RecipeWrong, "Did you mean 'gptq'?", "--protocol", "gpqt")]
    [InlineData(ExitCode.RecipeWrong, "context of 128", "--window", "4096")]
    [InlineData(ExitCode.RecipeWrong, "Cannot parse argument 'x'", "--window", "x")]
    [InlineData(ExitCode.ModelWrong, "no/such/model", "--against", "no/such/model")]
    public async Task A_wrong_evaluation_is_explained(int code, string message, params string[] extra)
    {
        var result = await Cli.RunAsync(["evaluate", tiny.Model, "--text", tiny.Text, .. extra]);
        Assert.Equal(code, result.Code);
        Assert.Contains(message, result.Error);
        Assert.Empty(result.Output);
    }

    [Fact]
    public async Task A_missing_text_is_explained()
    {
        var result = await Cli.RunAsync("evaluate", tiny.Model, "--text", "no/such.txt", "--json");
        Assert.Equal(ExitCode.ModelWrong, result.Code);
        Assert.Contains("no/such.txt", (string)result.Json["error"]!["message"]!);
    }
}
