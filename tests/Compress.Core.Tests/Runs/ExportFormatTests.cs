using System.Text.Json;
using Compress.Core.Recipes;
using Compress.Core.Tests.Pipeline;
using Compress.Formats;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using Compress.Formats.Gguf;
using Compress.Runtime.Model;

namespace Compress.Core.Tests.Runs;

/// <summary>Exports to formats of other programs, read back by torch's reader and by the engine.</summary>
public sealed class ExportFormatTests : IDisposable
{
    private static readonly int[] Prompt = [5, 17, 200, 3, 90, 41, 8, 254];

    private readonly TinyRun tiny = new(SyntheticModel.Llama(hidden: 64, mlp: 96, layers: 3, heads: 4, keyValueHeads: 2, vocabulary: 300, maxPositions: 64), ElementType.F16);

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData("gptq", null)]
    [InlineData("gptq", "gptq_v2")]
    [InlineData("awq", null)]
    public async Task Packed_integers_are_those_of_the_stage_and_run_alike(string format, string? type)
    {
        var stage = TinyRun.Rtn(groupSize: 32) with { Ignore = ["*.mlp.up_proj"] };
        var result = await tiny.Run(tiny.Recipe(stage) with
        {
            Export = [new ExportRecipe { Format = "compress", To = "own" }, new ExportRecipe { Format = format, Type = type, To = "packed" }],
        });
        using var own = ModelFolder.Open(result.Exports[0].Path);
        using var packed = ModelFolder.Open(result.Exports[1].Path);
        var (expected, actual) = ((DecodingTensorSource)own.Tensors, (DecodingTensorSource)packed.Tensors);
        var config = packed.QuantizationConfig!.Value;
        Assert.Equal(format, config.GetProperty("quant_method").GetString());
        Assert.Equal((4, 32), (config.GetProperty("bits").GetInt32(), config.GetProperty("group_size").GetInt32()));
        if (format == "gptq") Assert.Equal(type ?? "gptq", config.GetProperty("checkpoint_format").GetString());
        Assert.Contains("up_proj", config.GetProperty(format == "gptq" ? "dynamic" : "modules_to_not_convert").GetRawText(), StringComparison.Ordinal);
        Assert.Equal(18, actual.Tensors.Keys.Count(actual.IsEncoded));
        foreach (var name in expected.Tensors.Keys.Where(expected.IsEncoded))
        {
            var (a, b) = ((GroupQuantizedWeight)expected.ReadEncoded(name)!, (GroupQuantizedWeight)actual.ReadEncoded(name)!);
            Assert.Equal(a.Codes, b.Codes);
            Assert.Equal(a.Scales, b.Scales);
            Assert.Equal(a.Zeros, b.Zeros);
        }
        Assert.Equal(Logits(result.Exports[0].Path), Logits(result.Exports[1].Path));
        Assert.InRange(result.Exports[1].Figures.BitsPerWeight, 4.5, 6);
    }

    [Theory]
    [InlineData("gptq", "model.layers.0.self_attn.k_proj, model.layers.0.self_attn.v_proj")]
    [InlineData("awq", "differ")]
    public async Task What_the_format_cannot_express_is_refused_with_the_sites(string format, string expected)
    {
        using var narrow = new TinyRun();
        StageRecipe[] stages = format == "gptq"
            ? [TinyRun.Rtn()]
            : [TinyRun.Rtn() with { Targets = ["*.self_attn.*"] }, TinyRun.Rtn(groupSize: 8) with { Targets = ["*.mlp.*"] }];
        var recipe = narrow.Recipe(stages) with { Export = [new ExportRecipe { Format = format, To = "packed" }] };
        var message = (await Assert.ThrowsAsync<RecipeException>(() => narrow.Run(recipe))).Message;
        Assert.Contains(expected, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("hf", "f16", "x", "has one layout")]
    [InlineData("gptq", "v3", "x", "Valid values: gptq, gptq_v2")]
    [InlineData("gguf", "q4", "x.gguf", "Valid values: bf16, f16")]
    [InlineData("gguf", "f16", "x", "has to end in .gguf")]
    public async Task A_layout_that_the_format_does_not_have_is_refused(string format, string type, string to, string expected)
    {
        var recipe = tiny.Recipe(TinyRun.Rtn(groupSize: 32)) with { Export = [new ExportRecipe { Format = format, Type = type, To = to }] };
        Assert.Contains(expected, (await Assert.ThrowsAsync<RecipeException>(() => tiny.Run(recipe))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("f32", 1e-5)]
    [InlineData("f16", 1e-2)]
    [InlineData("q8_0", 5e-2)]
    public async Task A_model_whose_blocks_differ_runs_alike_from_gguf(string type, double tolerance)
    {
        var even = SyntheticModel.Llama(hidden: 64, mlp: 96, layers: 3, heads: 4, keyValueHeads: 2, vocabulary: 300, maxPositions: 64);
        var biased = SmallerConfig.WithOutputBiases(even.Config, even.Spec);
        BlockShape[] shapes = [new(4, 2, 96, 0), new(null, null, 32, 1), new(2, 1, 64, 2)];
        using var uneven = new TinyRun(SmallerConfig.Make(biased.Config, biased.Spec, 64, shapes), ElementType.F16);
        FillBiases(Path.Combine(uneven.Model, "model.safetensors"));
        var recipe = uneven.Recipe(TinyRun.Rtn(groupSize: 32)) with
        {
            Export = [new ExportRecipe { Format = "compress", To = "own" }, new ExportRecipe { Format = "gguf", Type = type, To = "model.gguf" }],
        };
        var result = await uneven.Run(recipe);
        using (var file = GgufFile.Open(result.Exports[1].Path))
        {
            // llama.cpp knows blocks of different shape under this name only.
            Assert.Equal("deci", file.Metadata["general.architecture"]);
            Assert.Equal([4u, 0u, 2u], (uint[])file.Metadata["deci.attention.head_count"]);
            Assert.Equal([96u, 32u, 64u], (uint[])file.Metadata["deci.feed_forward_length"]);
            Assert.Contains("blk.2.attn_q.bias", file.Tensors.Keys);
        }
        var (expected, actual) = (Logits(result.Exports[0].Path), Logits(result.Exports[1].Path));
        var distance = Math.Sqrt(expected.Zip(actual, (a, b) => Math.Pow(a - b, 2)).Sum() / expected.Sum(a => Math.Pow(a, 2)));
        Assert.InRange(distance, 0, tolerance);
        // A finished file is not written again.
        var written = File.GetLastWriteTimeUtc(result.Exports[1].Path);
        await uneven.Run(recipe, resume: true);
        Assert.Equal(written, File.GetLastWriteTimeUtc(result.Exports[1].Path));
    }

    [Fact]
    public async Task Blocks_that_gguf_cannot_express_are_refused()
    {
        var even = SyntheticModel.Llama(hidden: 64, mlp: 96, layers: 2, heads: 4, keyValueHeads: 2, vocabulary: 300, maxPositions: 64);
        BlockShape[] shapes = [new(4, 2, 96, 0), new(4, 2, null, 1)];
        using var bare = new TinyRun(SmallerConfig.Make(even.Config, even.Spec, 64, shapes), ElementType.F16);
        var recipe = bare.Recipe(TinyRun.Rtn(groupSize: 32)) with { Export = [new ExportRecipe { Format = "gguf", To = "model.gguf" }] };
        Assert.Contains("model.layers.1 has no MLP", (await Assert.ThrowsAnyAsync<CompressException>(() => bare.Run(recipe))).Message, StringComparison.Ordinal);
    }

    /// <summary>Gives the biases of a file values, which new models have none of.</summary>
    private static void FillBiases(string path)
    {
        var bytes = File.ReadAllBytes(path);
        var start = 8 + BitConverter.ToInt32(bytes);
        var (random, filled) = (new Random(2), 0);
        foreach (var tensor in JsonDocument.Parse(bytes.AsMemory(8, start - 8)).RootElement.EnumerateObject().Where(t => t.Name.EndsWith("bias", StringComparison.Ordinal)))
        {
            var offsets = tensor.Value.GetProperty("data_offsets");
            for (var at = offsets[0].GetInt32(); at < offsets[1].GetInt32(); at += 2, filled++)
                BitConverter.TryWriteBytes(bytes.AsSpan(start + at), (Half)(random.NextDouble() - 0.5));
        }
        Assert.True(filled > 800);
        File.WriteAllBytes(path, bytes);
    }

    private static float[] Logits(string path)
    {
        using var model = RuntimeModel.Open(path, new RuntimeOptions { Threads = 1, Activations = ActivationPrecision.Full });
        using var session = model.NewSession(Prompt.Length);
        var logits = new float[Prompt.Length * model.Spec.VocabularySize];
        session.ForwardAll(Prompt, logits);
        return logits;
    }
}
