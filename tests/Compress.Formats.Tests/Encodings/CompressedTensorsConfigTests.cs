using System.Text.Json;
using System.Text.Json.Nodes;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;

namespace Compress.Formats.Tests.Encodings;

public class CompressedTensorsConfigTests
{
    static readonly QuantizationScheme Four = new(4, 128, true, false, ElementType.F16);
    static readonly QuantizationScheme Eight = new(8, null, false, true, ElementType.BF16);

    [Fact]
    public void One_scheme_targets_all_linears()
    {
        var config = CompressedTensorsConfig.For(new Dictionary<string, QuantizationScheme?>
        {
            ["model.layers.1.mlp.up_proj"] = Four,
            ["lm_head"] = null,
            ["model.layers.0.mlp.up_proj"] = Four with { ScaleType = ElementType.BF16 },
        });
        const string Expected = """
            {"quant_method":"compressed-tensors","format":"pack-quantized","quantization_status":"compressed",
             "global_compression_ratio":null,"kv_cache_scheme":null,"ignore":["lm_head"],
             "config_groups":{"group_0":{"targets":["Linear"],
               "weights":{"num_bits":4,"type":"int","symmetric":true,"strategy":"group","group_size":128,"block_structure":null,
                          "dynamic":false,"actorder":null,"observer":"minmax","observer_kwargs":{}},
               "input_activations":null,"output_activations":null}}}
            """;
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(Expected), config.ToJson()), config.ToJson().ToJsonString());
        var read = Read(config.ToJson().ToJsonString());
        Assert.Equal(4, read.SchemeOf("anything")!.Bits);
        Assert.Null(read.SchemeOf("lm_head"));
    }

    [Fact]
    public void Several_schemes_list_their_modules_and_survive_the_round_trip()
    {
        var config = CompressedTensorsConfig.For(
            new Dictionary<string, QuantizationScheme?> { ["b"] = Eight, ["a"] = Four, ["c"] = Eight, ["d"] = null });
        var read = Read(config.ToJson().ToJsonString());
        Assert.Equal(Four with { ScaleType = ElementType.F32 }, read.SchemeOf("a"));
        Assert.Equal(Eight with { ScaleType = ElementType.F32 }, read.SchemeOf("c"));
        Assert.Null(read.SchemeOf("d"));
        Assert.Null(read.SchemeOf("e"));
        Assert.Equal(config.ToJson().ToJsonString(), read.ToJson().ToJsonString());
    }

    [Fact]
    public void Names_count_before_patterns_and_patterns_before_classes()
    {
        var read = Read(Json("""["Linear"]""", 4, """["re:.*down_proj$","x.up_proj"]""", 8, """["x.down_proj"]""", 3, """["re:.*head"]"""));
        Assert.Equal(4, read.SchemeOf("x.gate_proj")!.Bits);
        Assert.Equal(8, read.SchemeOf("y.down_proj")!.Bits);
        Assert.Equal(8, read.SchemeOf("x.up_proj")!.Bits);
        Assert.Equal(3, read.SchemeOf("x.down_proj")!.Bits);
        Assert.Null(read.SchemeOf("lm_head.inner"));
    }

    [Theory]
    [InlineData("\"pack-quantized\"", "\"marlin-24\"", "format")]
    [InlineData("\"compressed-tensors\"", "\"gptq\"", "quant_method")]
    [InlineData("\"num_bits\":4", "\"num_bits\":9", "num_bits")]
    [InlineData("\"num_bits\":4", "\"num_bits\":\"4\"", "num_bits")]
    [InlineData("\"num_bits\":4,", "", "num_bits")]
    [InlineData("\"type\":\"int\"", "\"type\":\"float\"", "type")]
    [InlineData("\"strategy\":\"group\"", "\"strategy\":\"block\"", "strategy")]
    [InlineData("\"group_size\":32", "\"group_size\":0", "group_size")]
    [InlineData("\"symmetric\":true", "\"symmetric\":1", "symmetric")]
    [InlineData("[\"Linear\"]", "\"Linear\"", "targets")]
    [InlineData("[\"Linear\"]", "[\"re:(\"]", "cannot be used")]
    [InlineData("[\"Linear\"]", "[\"re:(a)\\\\1\"]", "cannot be used")]
    [InlineData("\"input_activations\":null", "\"input_activations\":{}", "input_activations")]
    [InlineData("\"config_groups\":{", "\"config_groups\":{\"x\":1,", "config_groups.x")]
    public void Other_configurations_are_refused_by_member(string part, string replacement, string problem)
    {
        var json = Json("""["Linear"]""", 4, """["a"]""", 4, """["b"]""", 4, "[]");
        Assert.Contains(part, json, StringComparison.Ordinal);
        Read(json);
        var e = Assert.Throws<ModelFileException>(() => Read(json.Replace(part, replacement, StringComparison.Ordinal)));
        Assert.Contains(problem, e.Message, StringComparison.Ordinal);
        Assert.Equal("config.json", e.File);
    }

    static CompressedTensorsConfig Read(string json) => CompressedTensorsConfig.Read(JsonElement.Parse(json), "config.json");

    static string Json(string first, int firstBits, string second, int secondBits, string third, int thirdBits, string ignore)
    {
        static string Group(string targets, int bits) => $$$"""
            {"targets":{{{targets}}},
             "weights":{"num_bits":{{{bits}}},"type":"int","symmetric":true,"strategy":"group","group_size":32,"actorder":null},
             "input_activations":null}
            """;
        return $$$"""
            {"quant_method":"compressed-tensors","format":"pack-quantized","ignore":{{{ignore}}},
             "config_groups":{"a":{{{Group(first, firstBits)}}},"b":{{{Group(second, secondBits)}}},"c":{{{Group(third, thirdBits)}}} }}
            """;
    }
}
