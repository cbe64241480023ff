using System.Text;
using System.Text.Json.Nodes;

namespace Compress.Cli.Tests;

public sealed class ModelCommandTests : IDisposable
{
    private readonly TinyModel tiny = new();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public async Task Inspect_counts_tensors_types_and_sites()
    {
        var result = await Cli.RunAsync("inspect", tiny.Model, "--json");
        Assert.Equal(0, result.Code);
        var report = result.Json;
        // Token table, then per block: q, k, v, o, gate, up, down and two norms, then the final norm.
        long perBlock = (64 * 64 * 2) + (32 * 64 * 2) + (128 * 64 * 3) + (2 * 64);
        Assert.Equal((512 * 64) + (2 * perBlock) + 64, (long)report["parameters"]!);
        Assert.Equal(2 * (long)report["parameters"]!, (long)report["bytes"]!);
        Assert.Equal(16, (double)report["bits_per_weight"]!);
        Assert.Equal(16, ((JsonArray)report["sites"]!).Count);
        Assert.Null(report["zeros"]);
        Assert.True((bool)report["tied_head"]!);
    }

    [Fact]
    public async Task Inspect_counts_zeros_where_asked()
    {
        var weights = Path.Combine(tiny.Model, "model.safetensors");
        var bytes = File.ReadAllBytes(weights);
        var header = Encoding.UTF8.GetString(bytes, 8, BitConverter.ToInt32(bytes));
        var offsets = (JsonArray)JsonNode.Parse(header)!["model.layers.0.mlp.up_proj.weight"]!["data_offsets"]!;
        var start = 8 + header.Length + (int)offsets[0]!;
        // A quarter of the elements becomes +0 and −0 in turn.
        for (var i = 0; i < 128 * 64; i += 4) BitConverter.TryWriteBytes(bytes.AsSpan(start + (2 * i)), (ushort)(i % 8 == 0 ? 0 : 0x8000));
        File.WriteAllBytes(weights, bytes);
        var report = (await Cli.RunAsync("inspect", tiny.Model, "--sparsity", "--json")).Json;
        var site = ((JsonArray)report["sites"]!).Single(s => (string)s!["name"]! == "model.layers.0.mlp.up_proj")!;
        Assert.Equal(0.25, (double)site["zeros"]!);
        long inBlocks = 2 * ((64 * 64 * 2) + (32 * 64 * 2) + (128 * 64 * 3));
        Assert.Equal(128 * 64 / 4 / (double)inBlocks, (double)report["zeros"]!, 12);
    }

    [Fact]
    public async Task Inspect_prints_tables()
    {
        var result = await Cli.RunAsync("inspect", tiny.Model, "--sites");
        Assert.Equal(0, result.Code);
        Assert.Contains("heads         4, 2 key/value", result.Output);
        Assert.Contains("model.layers.1.mlp.down_proj     down         64      128  BF16", result.Output);
    }

    [Fact]
    public async Task Convert_keeps_every_weight()
    {
        var copy = tiny.At("copy");
        var result = await Cli.RunAsync("convert", tiny.Model, copy, "--json");
        Assert.Equal(0, result.Code);
        Assert.Contains("model.safetensors", ((JsonArray)result.Json["files"]!).Select(f => (string)f!["name"]!));
        var before = (await Cli.RunAsync("inspect", tiny.Model, "--json")).Json;
        var after = (await Cli.RunAsync("inspect", copy, "--json")).Json;
        Assert.Equal(before["sites"]!.ToJsonString(), after["sites"]!.ToJsonString());
    }

    [Fact]
    public async Task Convert_does_not_replace_what_it_did_not_write()
    {
        Directory.CreateDirectory(tiny.At("precious"));
        tiny.Write("precious/notes.txt", "x");
        var before = tiny.Files();
        var result = await Cli.RunAsync("convert", tiny.Model, tiny.At("precious"));
        Assert.Equal(ExitCode.ModelWrong, result.Code);
        Assert.Contains("notes.txt", result.Error);
        Assert.Equal(before, tiny.Files());
    }

    public static TheoryData<string, string> Damages => new()
    {
        { "truncated weights", "model.safetensors" },
        { "header longer than the file", "model.safetensors" },
        { "header that is no JSON", "model.safetensors" },
        { "broken config", "config.json" },
        { "config of another shape", "config.json" },
        { "no config", "config.json" },
        { "no weights", "safetensors" },
        { "broken tokenizer", "tokenizer.json" },
    };

    private void Damage(string how)
    {
        string weights = Path.Combine(tiny.Model, "model.safetensors"), config = Path.Combine(tiny.Model, "config.json");
        var bytes = File.ReadAllBytes(weights);
        switch (how)
        {
            case "truncated weights": File.WriteAllBytes(weights, bytes[..(bytes.Length / 2)]); break;
            case "header longer than the file":
                File.WriteAllBytes(weights, [.. BitConverter.GetBytes(long.MaxValue), .. bytes[8..]]);
                break;
            case "header that is no JSON": File.WriteAllBytes(weights, [.. bytes[..8], (byte)'x', .. bytes[9..]]); break;
            case "broken config": File.WriteAllText(config, "{ \"model_type\": "); break;
            case "config of another shape":
                File.WriteAllText(config, File.ReadAllText(config).Replace("\"hidden_size\": 64", "\"hidden_size\": 128"));
                break;
            case "no config": File.Delete(config); break;
            case "no weights": File.Delete(weights); break;
            case "broken tokenizer": File.WriteAllText(Path.Combine(tiny.Model, "tokenizer.json"), "[1, 2"); break;
            default: throw new ArgumentOutOfRangeException(nameof(how));
        }
    }

    [Theory]
    [MemberData(nameof(Damages))]
    public async Task A_damaged_model_is_refused_with_its_file_and_nothing_is_written(string how, string named)
    {
        Damage(how);
        var recipe = tiny.Write("r.yaml", $"model: {tiny.Model}\nevaluate: [{{ perplexity: {{ data: {tiny.Text} }} }}]");
        var before = tiny.Files();
        foreach (var arguments in new[] { ["plan", recipe], new[] { "plan", recipe, "--json" } })
        {
            var result = await Cli.RunAsync(arguments);
            Assert.Equal(ExitCode.ModelWrong, result.Code);
            Assert.Contains(named, result.Error);
            Assert.DoesNotContain("   at ", result.Error);
            Assert.Equal(arguments.Length == 3, result.Output.Length > 0);
        }
        Assert.Equal(before, tiny.Files());
    }
}
