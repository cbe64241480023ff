using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Tests.Architectures;

public class ArchitectureRegistryTests
{
    [Theory]
    [InlineData("""{"hidden_size": null}""", "\"hidden_size\" is missing")]
    [InlineData("""{"hidden_size": "32"}""", "\"hidden_size\" is \"32\"; expected a whole number")]
    [InlineData("""{"hidden_size": -1}""", "\"hidden_size\" is -1")]
    [InlineData("""{"hidden_size": 32.5}""", "\"hidden_size\" is 32.5")]
    [InlineData("""{"hidden_size": 1e300}""", "\"hidden_size\" is 1e300")]
    [InlineData("""{"hidden_size": 33}""", "(33) is not a multiple of the 4 heads")]
    [InlineData("""{"num_hidden_layers": 2000000000}""", "\"num_hidden_layers\" is 2000000000; expected a whole number from 1 to 4096")]
    [InlineData("""{"num_key_value_heads": 3}""", "gives 4 heads, which 3 key/value heads do not divide")]
    [InlineData("""{"head_dim": 16777216}""", "too wide")]
    [InlineData("""{"head_dim": 7}""", "7 rotary dimensions a head; expected an even number")]
    [InlineData("""{"hidden_act": "mish"}""", "\"hidden_act\" is \"mish\", which is not supported. Supported: silu")]
    [InlineData("""{"rms_norm_eps": 0}""", "\"rms_norm_eps\" is 0; expected a number above 0")]
    [InlineData("""{"model_type": "mamba"}""", "is \"mamba\", which is not supported. Supported: gemma, gemma2, gemma3_text, gpt2")]
    [InlineData("""{"model_type": null}""", "\"model_type\" is missing")]
    [InlineData("""{"rope_scaling": {"rope_type": "yarn", "factor": 4}}""", "rope_scaling: \"rope_type\" is \"yarn\", which")]
    [InlineData("""{"rope_scaling": {"rope_type": "linear"}}""", "rope_scaling: \"factor\" is missing")]
    [InlineData("""{"rope_scaling": {"rope_type": "linear", "factor": 0}}""", "expected a number above 0")]
    [InlineData("""{"rope_scaling": 8}""", "\"rope_scaling\" is 8; expected an object")]
    [InlineData("""
        {"max_position_embeddings": 64, "rope_scaling": {"rope_type": "longrope", "short_factor": [1], "long_factor": [1]}}
        """, "\"short_factor\" has 1 entries; expected 4")]
    [InlineData("""{"tie_word_embeddings": "yes"}""", "expected true or false")]
    [InlineData("""{"rope_interleaved": true}""", "\"rope_interleaved\" is true")]
    [InlineData("""{"compress_block_shapes": []}""", "\"compress_block_shapes\" has 0 entries for 2 blocks")]
    [InlineData("""{"compress_block_shapes": [null, {}]}""", "compress_block_shapes[0]: holds null where an object is expected")]
    [InlineData("""
        {"compress_block_shapes": [{"attention": null, "mlp": {"intermediate_size": 8}}, {"attention": null}]}
        """, "compress_block_shapes[1]: \"mlp\" is missing. Write null for a removed sublayer.")]
    [InlineData("""
        {"compress_block_shapes": [{"attention": null, "mlp": {"intermediate_size": 8}}, {"attention": null, "mlp": null}]}
        """, "\"compress_block_shapes[1]\" has neither attention nor MLP")]
    [InlineData("""
        {"compress_block_shapes": [{"attention": {"heads": 3, "key_value_heads": 2}, "mlp": null}, {"attention": null, "mlp": null}]}
        """, "gives 3 heads, which 2 key/value heads do not divide")]
    public void A_broken_configuration_is_refused_with_the_key(string changes, string message)
    {
        var failure = Assert.Throws<ModelFileException>(() => Read(Config(changes)));
        Assert.StartsWith("models/x/config.json: ", failure.Message, StringComparison.Ordinal);
        Assert.Contains(message, failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[]", "holds a list where an object is expected")]
    [InlineData("3", "holds 3 where an object is expected")]
    public void A_configuration_that_is_no_object_is_refused(string json, string message)
    {
        using var document = JsonDocument.Parse(json);
        var failure = Assert.Throws<ModelFileException>(() => ArchitectureRegistry.Read(document.RootElement, "config.json"));
        Assert.Contains(message, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_misshapen_and_unknown_tensors_are_named_together()
    {
        var config = Config("{}");
        var tensors = Headers(Read(config));
        tensors.Remove("model.layers.1.mlp.up_proj.weight");
        tensors["model.norm.weight"] = Header("model.norm.weight", [31]);
        tensors["extra.weight"] = Header("extra.weight", [1]);
        const string Query = "model.layers.0.self_attn.q_proj.weight";
        tensors[Query] = tensors[Query] with { Type = ElementType.I8 };
        var failure = Assert.Throws<ModelFileException>(() => Read(config, tensors));
        Assert.Contains("1 missing: model.layers.1.mlp.up_proj.weight [40, 32]", failure.Message, StringComparison.Ordinal);
        Assert.Contains("1 wrong shape: model.norm.weight is [31], expected [32]", failure.Message, StringComparison.Ordinal);
        Assert.Contains("1 wrong type: model.layers.0.self_attn.q_proj.weight is I8", failure.Message, StringComparison.Ordinal);
        Assert.Contains("1 unknown: extra.weight", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Buffers_of_older_checkpoints_and_a_stored_tied_head_are_let_through()
    {
        var config = Config("""{"tie_word_embeddings": true}""");
        var tensors = Headers(Read(config));
        Assert.DoesNotContain("lm_head.weight", tensors.Keys);
        tensors["lm_head.weight"] = Header("lm_head.weight", [11, 32]);
        tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = Header("model.layers.0.self_attn.rotary_emb.inv_freq", [4]);
        Assert.True(Read(config, tensors).Head.Tied);
    }

    [Fact]
    public void Block_shapes_differ_where_the_configuration_says_so()
    {
        var spec = Read(Config("""
            {"compress_block_shapes": [
              {"layer": 0, "attention": {"heads": 2, "key_value_heads": 1}, "mlp": {"intermediate_size": 24}},
              {"layer": 3, "attention": null, "mlp": {"intermediate_size": 8}}], "head_dim": 8}
            """));
        var attention = spec.Blocks[0].Attention!;
        Assert.Equal((2, 1, 24), (attention.Heads, attention.KeyValueHeads, spec.Blocks[0].Mlp!.Up.OutFeatures));
        Assert.Null(spec.Blocks[1].Attention);
        Assert.Null(spec.Blocks[1].AttentionNorm);
        Assert.Equal("model.layers.1", spec.Blocks[1].Prefix);
        var shapes = SpecTensors.Expected(spec).ToDictionary(e => e.Name, e => e.Shape.ToArray());
        Assert.Equal([16, 32], shapes["model.layers.0.self_attn.q_proj.weight"]);
        Assert.Equal([8, 32], shapes["model.layers.0.self_attn.k_proj.weight"]);
        Assert.Equal([32, 8], shapes["model.layers.1.mlp.down_proj.weight"]);
        Assert.DoesNotContain(shapes.Keys, n => n.StartsWith("model.layers.1.self_attn", StringComparison.Ordinal));
    }

    [Fact]
    public void A_layers_window_follows_its_number_in_the_original_model()
    {
        var config = """
            {"model_type": "gemma2", "head_dim": 8, "sliding_window": 16, "num_hidden_layers": 2, "compress_block_shapes": [
              {"layer": 1, "attention": {"heads": 4, "key_value_heads": 2}, "mlp": {"intermediate_size": 40}},
              {"layer": 2, "attention": {"heads": 4, "key_value_heads": 2}, "mlp": {"intermediate_size": 40}}]}
            """;
        Assert.Equal([null, 16], Read(Config(config)).Blocks.Select(b => b.Attention!.Window));
    }

    [Fact]
    public void Fused_and_transposed_tensors_have_the_shape_of_the_whole()
    {
        var gpt2 = Shapes("""{"model_type": "gpt2", "n_embd": 32, "n_head": 4, "n_layer": 1, "vocab_size": 11, "n_positions": 16}""");
        Assert.Equal([32, 96], gpt2["transformer.h.0.attn.c_attn.weight"]);
        Assert.Equal([96], gpt2["transformer.h.0.attn.c_attn.bias"]);
        Assert.Equal([32, 128], gpt2["transformer.h.0.mlp.c_fc.weight"]);
        Assert.Equal([16, 32], gpt2["transformer.wpe.weight"]);
        var phi3 = Shapes("""{"model_type": "phi3", "num_hidden_layers": 1}""");
        Assert.Equal([64, 32], phi3["model.layers.0.self_attn.qkv_proj.weight"]);
        Assert.Equal([80, 32], phi3["model.layers.0.mlp.gate_up_proj.weight"]);
        var neoX = Shapes("""{"model_type": "gpt_neox", "num_hidden_layers": 1, "rotary_pct": 0.5}""");
        Assert.Equal([96, 32], neoX["gpt_neox.layers.0.attention.query_key_value.weight"]);
        Assert.Equal([96], neoX["gpt_neox.layers.0.attention.query_key_value.bias"]);
    }

    [Fact]
    public void Heads_cannot_be_grouped_where_the_family_stores_one_key_a_head()
    {
        var failure = Assert.Throws<ModelFileException>(() => Read(Config("""
            {"model_type": "gpt_neox", "num_hidden_layers": 1,
             "compress_block_shapes": [{"attention": {"heads": 4, "key_value_heads": 2}, "mlp": null}]}
            """)));
        Assert.Contains("shares key/value heads, which gpt_neox cannot", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Projected_embeddings_of_opt_are_refused()
    {
        var failure = Assert.Throws<ModelFileException>(
            () => Read(Config("""{"model_type": "opt", "ffn_dim": 40, "word_embed_proj_dim": 16}""")));
        Assert.Contains("\"word_embed_proj_dim\" is 16 where hidden_size is 32", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bfloat16", ElementType.BF16)]
    [InlineData("torch.float16", ElementType.F16)]
    [InlineData("float32", ElementType.F32)]
    public void The_declared_type_is_read_under_both_keys(string name, ElementType type)
    {
        Assert.Equal(type, Read(Config($$"""{"torch_dtype": "{{name}}"}""")).DeclaredType);
        Assert.Equal(type, Read(Config($$"""{"dtype": "{{name}}"}""")).DeclaredType);
        Assert.Null(Read(Config("{}")).DeclaredType);
    }

    private static string Config(string changes)
    {
        var config = JsonNode.Parse("""
            {"model_type": "llama", "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "vocab_size": 11, "rms_norm_eps": 1e-5}
            """)!.AsObject();
        foreach (var (key, value) in JsonNode.Parse(changes)!.AsObject()) config[key] = value?.DeepClone();
        return config.ToJsonString();
    }

    private static ModelSpec Read(string config)
    {
        using var document = JsonDocument.Parse(config);
        return ArchitectureRegistry.Read(document.RootElement, "models/x/config.json");
    }

    private static ModelSpec Read(string config, IReadOnlyDictionary<string, TensorInfo> tensors)
    {
        using var document = JsonDocument.Parse(config);
        return ArchitectureRegistry.Read(document.RootElement, tensors, "models/x");
    }

    private static Dictionary<string, long[]> Shapes(string changes) =>
        SpecTensors.Expected(Read(Config(changes))).ToDictionary(e => e.Name, e => e.Shape.ToArray());

    private static Dictionary<string, TensorInfo> Headers(ModelSpec spec) =>
        SpecTensors.Expected(spec).ToDictionary(e => e.Name, e => Header(e.Name, e.Shape));

    private static TensorInfo Header(string name, ImmutableArray<long> shape) =>
        new(name, ElementType.F32, shape, 4 * shape.Aggregate(1L, (a, b) => a * b));
}
