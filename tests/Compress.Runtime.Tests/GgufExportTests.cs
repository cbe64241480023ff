using System.Text.Json.Nodes;
using Compress.Formats;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Formats.Gguf;
using Compress.Runtime.Model;
using Compress.Testing;

namespace Compress.Runtime.Tests;

/// <summary>Files written as GGUF, read back by the engine.</summary>
public sealed class GgufExportTests : IDisposable
{
    private static readonly int[] Prompt = [.. Enumerable.Range(0, 24).Select(i => 3 + i * 37 % 200)];

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Logits_of_an_f32_file_are_those_of_the_folder()
    {
        var path = Path.Combine(SharedData.Repository, "models", "embedded");
        RequireSame(Logits(path), Logits(Write(path, "f32")));
    }

    [Fact]
    public void The_tokenizer_travels_with_the_weights()
    {
        var path = Path.Combine(SharedData.Repository, "models", "embedded");
        using var original = ModelFolder.Open(path);
        using var written = RuntimeModel.Open(Write(path, "q8_0"), threads: 1);
        var (expected, actual) = (original.LoadTokenizer(), written.LoadTokenizer());
        const string Text = "Gets the 1234 elements, it's \"quoted\"\n\n\tand <|endoftext|> ends. Ünïcode — 漢字";
        Assert.Equal(expected.Encode(Text), actual.Encode(Text));
        Assert.Equal((expected.BosId, expected.EosId), (actual.BosId, actual.EosId));
        Assert.Equal(expected.Decode(expected.Encode(Text)), actual.Decode(actual.Encode(Text)));
    }

    /// <summary>Shapes that differ from block to block become arrays; Qwen's biases, head norms and half-split rotation come through.</summary>
    [Theory]
    [InlineData("llama", true)]
    [InlineData("qwen2", true)]
    [InlineData("qwen3", false)]
    public void Blocks_of_each_family_come_through(string family, bool uneven)
    {
        var path = Random(family, uneven);
        RequireSame(Logits(path), Logits(Write(path, "f32")));
    }

    [Fact]
    public void Uneven_blocks_with_head_norms_are_refused()
    {
        var e = Assert.Throws<ModelFileException>(() => Write(Random("qwen3", uneven: true), "f32"));
        Assert.Contains("norms of queries and keys", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("q4_k_m", "blk.2.ffn_down.weight", GgmlType.Q6_K)]
    [InlineData("q4_k_m", "blk.0.ffn_up.weight", GgmlType.Q4_K)]
    [InlineData("q3_k_m", "blk.1.attn_v.weight", GgmlType.Q5_K)]
    [InlineData("q2_k", "blk.1.attn_output.weight", GgmlType.Q3_K)]
    [InlineData("q5_k_m", "token_embd.weight", GgmlType.Q6_K)]
    public void Mixtures_give_more_bits_where_they_matter(string mixture, string tensor, GgmlType type)
    {
        using var file = GgufFile.Open(Write(Path.Combine(SharedData.Repository, "models", "embedded"), mixture));
        Assert.Equal(type, file.Tensors[tensor].Type);
    }

    [Fact]
    public void Rows_that_are_not_whole_blocks_fall_back()
    {
        var mixture = GgufMixture.Find("q4_k_m")!;
        Assert.Equal(GgmlType.Q5_0, mixture.TypeOf("blk.3.ffn_up.weight", 3, 30, 576, isHead: false));
        Assert.Equal(GgmlType.F16, mixture.TypeOf("blk.3.ffn_up.weight", 3, 30, 40, isHead: false));
    }

    private static void RequireSame(float[] expected, float[] actual)
    {
        var size = expected.Max(Math.Abs);
        Assert.True(expected.Zip(actual, (a, b) => Math.Abs(a - b)).Max() < 1e-4 * size);
    }

    private static float[] Logits(string path)
    {
        using var model = RuntimeModel.Open(path, new RuntimeOptions { Threads = 2, Activations = ActivationPrecision.Full });
        using var session = model.NewSession(Prompt.Length);
        return session.Forward(Prompt).ToArray();
    }

    private string Write(string model, string mixture)
    {
        var file = Path.Combine(folder.Path, $"{Path.GetFileName(model)}-{mixture}.gguf");
        using var source = ModelFolder.Open(model);
        GgufExport.Write(source, file, GgufMixture.Find(mixture)!);
        return file;
    }

    /// <summary>A random model of three blocks, with the embedded model's tokenizer.</summary>
    private string Random(string family, bool uneven)
    {
        using var embedded = ModelFolder.Open(Path.Combine(SharedData.Repository, "models", "embedded"));
        var config = SyntheticModel.Llama(64, 96, 3, 4, 2, embedded.Spec.VocabularySize).Config;
        config["model_type"] = family;
        config["head_dim"] = 16;
        config["rope_theta"] = 500000.0;
        if (uneven) config[BlockShape.Key] = new JsonArray([.. new[] { (4, 2, 96), (2, 1, 64), (4, 2, 32) }.Select(s => new JsonObject
        {
            ["attention"] = new JsonObject { ["heads"] = s.Item1, ["key_value_heads"] = s.Item2 },
            ["mlp"] = new JsonObject { ["intermediate_size"] = s.Item3 },
        })]);
        var target = Path.Combine(folder.Path, family);
        SyntheticCheckpoint.Write(target, SyntheticModel.FromConfig(config), ElementType.F32, seed: 7, embedded);
        return target;
    }
}
