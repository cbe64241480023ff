using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using Compress.Formats.Tests.Encodings;
using Compress.Testing;

namespace Compress.Formats.Tests.Checkpoints;

public sealed class DecodingTensorSourceTests : IDisposable
{
    readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void An_exported_folder_opens_with_dense_weights()
    {
        var weights = new Dictionary<string, GroupQuantizedWeight>
        {
            ["model.a"] = GoldenPacking.Random(8, 64, 4, 32, true, false, 1),
            ["model.b"] = GoldenPacking.Random(16, 32, 8, 32, false, true, 2),
        };
        var packed = weights.SelectMany(w => CompressedTensors.Pack(w.Key, w.Value)).ToList();
        var schemes = weights.ToDictionary(w => w.Key, w => (QuantizationScheme?)QuantizationScheme.Of(w.Value));
        schemes["head"] = null;
        var config = new JsonObject { ["model_type"] = "llama", ["quantization_config"] = CompressedTensorsConfig.For(schemes).ToJson() };
        var dense = TensorInfo.Of("head.weight", ElementType.U8, 3);
        using (var writer = HuggingFaceFolderWriter.Create(
            folder.At("m"), JsonSerializer.SerializeToElement(config), [.. packed.Select(p => p.Info), dense]))
        {
            foreach (var part in packed) writer.Write(part.Info.Name, part.Bytes);
            writer.Write("head.weight", [1, 2, 3]);
            writer.Complete();
        }
        using var model = ModelFolder.Open(folder.At("m"));
        Assert.False(model.Config.TryGetProperty("quantization_config", out _));
        Assert.Equal("compressed-tensors", model.QuantizationConfig!.Value.GetProperty("quant_method").GetString());
        Assert.Equal(["head.weight", "model.a.weight", "model.b.weight"], model.Tensors.Tensors.Keys.Order(StringComparer.Ordinal));
        Assert.Equal([1, 2, 3], model.Tensors.Open("head.weight").Bytes(0, 3).ToArray());
        foreach (var (name, weight) in weights)
        {
            var info = model.Tensors.Tensors[name + ".weight"];
            Assert.Equal((ElementType.F32, $"[{weight.Rows}, {weight.Columns}]"), (info.Type, info.ShapeText));
            GoldenPacking.AssertDecodes(weight, Values(model.Tensors, info.Name), name);
            GoldenPacking.AssertSame(weight, (GroupQuantizedWeight)((DecodingTensorSource)model.Tensors).ReadEncoded(info.Name)!);
        }
        Assert.Null(((DecodingTensorSource)model.Tensors).ReadEncoded("head.weight"));
        Assert.Contains("model.a.weight", Assert.Throws<ModelFileException>(() =>
            model.Tensors.Open("model.a.weigth")).Message, StringComparison.Ordinal);
        var view = model.Tensors.Open("model.a.weight");
        model.Dispose();
        Assert.Throws<ObjectDisposedException>(() => view.Bytes(0, 1).Length);
    }

    [Theory]
    [InlineData(null, 1)]
    [InlineData("gptq", 1)]
    [InlineData("gptq_v2", 2)]
    public void A_gptq_checkpoint_opens_with_dense_weights(string? format, int version)
    {
        var weight = GoldenPacking.Random(32, 64, 3, 32, false, true, 3);
        var source = GoldenPacking.Source(GptqFormat.Pack("m", weight, version)).Add("m.bias", new float[32], 32);
        var config = new JsonObject { ["quant_method"] = "gptq", ["bits"] = 3, ["group_size"] = 32, ["checkpoint_format"] = format };
        using var dense = DecodingTensorSource.Wrap(source, JsonSerializer.SerializeToElement(config), "config.json");
        Assert.Equal(["m.weight", "m.bias"], dense.Tensors.Keys);
        GoldenPacking.AssertDecodes(weight, Values(dense, "m.weight"), "gptq");
    }

    [Fact]
    public void Releasing_a_weight_frees_its_decode_and_releases_what_it_was_made_of()
    {
        var weight = GoldenPacking.Random(32, 64, 4, 32, false, true, 3);
        var source = new Recording(GoldenPacking.Source(GptqFormat.Pack("m", weight, 2)).Add("n.bias", new float[32], 32));
        var config = new JsonObject { ["quant_method"] = "gptq", ["bits"] = 4, ["group_size"] = 32, ["checkpoint_format"] = "gptq_v2" };
        using var dense = DecodingTensorSource.Wrap(source, JsonSerializer.SerializeToElement(config), "config.json");
        var view = dense.Open("m.weight");
        Assert.NotEmpty(source.Opened);
        dense.Release("m.weight");
        Assert.Equal(source.Opened.Order(StringComparer.Ordinal), source.Released.Order(StringComparer.Ordinal));
        Assert.Throws<ObjectDisposedException>(() => view.Bytes(0, 1).Length);
        GoldenPacking.AssertDecodes(weight, Values(dense, "m.weight"), "opened again");
        dense.Release("n.bias");
        Assert.Contains("n.bias", source.Released);
    }

    [Fact]
    public void An_awq_checkpoint_opens_with_dense_weights()
    {
        var weight = GoldenPacking.Random(32, 64, 4, 16, false, false, 3);
        var source = GoldenPacking.Source(AwqFormat.Pack("m", weight));
        var config = JsonElement.Parse("""{"quant_method":"awq","bits":4,"group_size":16,"version":"gemm","zero_point":true}""");
        using var dense = DecodingTensorSource.Wrap(source, config, "config.json");
        Assert.Equal(["m.weight"], dense.Tensors.Keys);
        GoldenPacking.AssertDecodes(weight, Values(dense, "m.weight"), "awq");
    }

    [Fact]
    public void Wrong_configurations_and_doubled_weights_are_refused()
    {
        var weight = GoldenPacking.Random(32, 64, 4, 32, false, false, 3);
        void Refused(string config, string problem, InMemoryTensors? source = null)
        {
            using var tensors = source ?? GoldenPacking.Source(GptqFormat.Pack("m", weight, 1));
            var e = Assert.Throws<ModelFileException>(() => DecodingTensorSource.Wrap(tensors, JsonElement.Parse(config), "config.json"));
            Assert.Contains(problem, e.Message, StringComparison.Ordinal);
        }
        Refused("""{"quant_method":"gptq","bits":4}""", "group_size");
        Refused("""{"quant_method":"gptq","bits":4,"group_size":0}""", "group_size");
        Refused("""{"quant_method":"gptq","bits":4,"group_size":32,"checkpoint_format":"marlin"}""", "checkpoint_format");
        Refused("""{"quant_method":"gptq","bits":3,"group_size":32}""", "bits");
        Refused("""{"quant_method":"awq","bits":3,"group_size":32}""", "bits");
        Refused("""{"quant_method":"awq","bits":4,"group_size":32,"version":"gemv"}""", "version");
        Refused("""{"quant_method":"compressed-tensors"}""", "format");
        Refused("""{"quant_method":"gptq","bits":4,"group_size":32}""", "packed and dense",
            GoldenPacking.Source(GptqFormat.Pack("m", weight, 1)).Add("m.weight", new float[4], 4));
        Assert.False(DecodingTensorSource.Reads(JsonElement.Parse("""{"quant_method":"bitsandbytes"}""")));
        Assert.False(DecodingTensorSource.Reads(JsonElement.Parse("[]")));
    }

    static float[] Values(ITensorSource source, string name)
    {
        var view = source.Open(name);
        return MemoryMarshal.Cast<byte, float>(view.Bytes(0, (int)view.Info.ByteCount)).ToArray();
    }

    /// <summary>A source that remembers what was asked of it.</summary>
    sealed class Recording(ITensorSource source) : ITensorSource
    {
        public HashSet<string> Opened { get; } = [];

        public HashSet<string> Released { get; } = [];

        public IReadOnlyDictionary<string, TensorInfo> Tensors => source.Tensors;

        public TensorView Open(string name)
        {
            Opened.Add(name);
            return source.Open(name);
        }

        public void Release(string name) => Released.Add(name);

        public void Dispose() => source.Dispose();
    }
}
