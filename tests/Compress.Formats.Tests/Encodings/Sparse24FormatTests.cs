using System.Text.Json;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using Compress.Formats.Encodings.Positions;
using Compress.Formats.Encodings.Values;
using Compress.Testing;

namespace Compress.Formats.Tests.Encodings;

public sealed class Sparse24FormatTests
{
    [SharedDataFact]
    public void Golden_vectors_read_and_pack_to_the_bit()
    {
        var (read, packed) = (0, 0);
        foreach (var test in GoldenPacking.Cases("sparse24.json"))
        {
            var (shape, compressed, mask) = (test.Shape("shape"), test.Shape("compressed_shape"), test.Shape("bitmask_shape"));
            var type = Enum.Parse<ElementType>(test.GetProperty("dtype").GetString()!);
            var dense = new LayeredWeight(new DensePositions((int)shape[0], (int)shape[1]), new FloatValues(type, test.Bytes("dense")));
            using var source = new InMemoryTensors();
            source.Add("m.shape", ElementType.I64, Shape64(shape), 2, 1);
            source.Add("m.compressed", type, test.Bytes("compressed"), compressed);
            source.Add("m.bitmask", ElementType.U8, test.Bytes("bitmask_u8"), mask);
            var actual = Sparse24Format.Read(source, "f", "m");
            Assert.Equal(Decoded(dense), Decoded(actual));
            read++;
            var parts = Sparse24Format.Pack("m", Sparse24Format.Find(dense)!).ToDictionary(p => p.Info.Name);
            Assert.Equal(compressed, parts["m.compressed"].Info.Shape);
            Assert.Equal(test.Bytes("shape_tensor_i64"), parts["m.shape"].Bytes);
            using var again = GoldenPacking.Source(parts.Values);
            Assert.Equal(Decoded(dense), Decoded(Sparse24Format.Read(again, "f", "m")));
            // Which zeros fill a group with more than two is the writer's choice.
            if (!test.GetProperty("exact_compress").GetBoolean()) continue;
            Assert.Equal(test.Bytes("compressed"), parts["m.compressed"].Bytes);
            Assert.Equal(test.Bytes("bitmask_u8"), parts["m.bitmask"].Bytes);
            packed++;
        }
        Assert.Equal((5, 4), (read, packed));
    }

    [Fact]
    public void Only_two_of_four_is_found()
    {
        Assert.Null(Sparse24Format.Find(Dense(1, 4, 1, 2, 3, 0)));
        Assert.Null(Sparse24Format.Find(Dense(1, 6, 1, 2, 0, 0, 1, 0)));
        Assert.Equal([1, 2, 0, 0], Decoded(Sparse24Format.Find(Dense(1, 4, 1, 2, 0, 0))!));
        Assert.Throws<ArgumentException>(() => Sparse24Format.Pack("m", Dense(1, 4, 1, 2, 0, 0)));
    }

    [Theory]
    [InlineData("shape", ElementType.I64, 2, 2)]
    [InlineData("shape", ElementType.I32, 2, 1)]
    [InlineData("compressed", ElementType.I8, 3, 6)]
    [InlineData("compressed", ElementType.F32, 3, 5)]
    [InlineData("compressed", ElementType.F32, 3, 0)]
    [InlineData("compressed", ElementType.F32, 4, 6)]
    [InlineData("bitmask", ElementType.U8, 3, 1)]
    [InlineData("bitmask", ElementType.I8, 3, 2)]
    public void Damaged_parts_are_file_errors(string part, ElementType type, int first, int second)
    {
        var parts = Sparse24Format.Pack("m", Sparse24Format.Find(Dense(3, 12, [.. Enumerable.Range(0, 36).Select(i => i % 4 < 2 ? i + 1f : 0)]))!).ToList();
        var at = parts.FindIndex(p => p.Info.Name == "m." + part);
        var info = TensorInfo.Of("m." + part, type, first, second);
        using var changed = GoldenPacking.Source([.. parts.Take(at), new PackedTensor(info, new byte[info.ByteCount]), .. parts.Skip(at + 1)]);
        Assert.Contains("m." + (part == "shape" || second == 6 && first == 4 ? "shape" : part),
            Assert.Throws<ModelFileException>(() => Sparse24Format.Read(changed, "f", "m")).Message, StringComparison.Ordinal);
        using var without = GoldenPacking.Source([.. parts.Take(at), .. parts.Skip(at + 1)]);
        Assert.Contains("is missing", Assert.Throws<ModelFileException>(() => Sparse24Format.Read(without, "f", "m")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 7)]
    [InlineData(0, 1)]
    [InlineData(1, 0x13)]
    public void A_mask_that_is_not_two_of_four_is_refused(int at, byte bits)
    {
        var parts = Sparse24Format.Pack("m", Sparse24Format.Find(Dense(1, 12, 1, 2, 0, 0, 0, 3, 4, 0, 5, 6, 0, 0))!).ToList();
        parts[2].Bytes[at] = bits;
        using var source = GoldenPacking.Source(parts);
        Assert.Contains("m.bitmask", Assert.Throws<ModelFileException>(() => Sparse24Format.Read(source, "f", "m")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_shape_that_no_array_holds_is_refused_before_anything_is_read()
    {
        using var source = new InMemoryTensors();
        source.Add("m.compressed", ElementType.F8E4M3, [], 0, int.MaxValue / 2 + 1);
        source.Add("m.shape", ElementType.I64, Shape64([0, 1L << 31]), 2, 1);
        Assert.Throws<ModelFileException>(() => Sparse24Format.Read(source, "f", "m"));
    }

    [Theory]
    [InlineData("""{"quant_method": "compressed-tensors", "format": "dense"}""")]
    [InlineData("""{"quant_method": "compressed-tensors", "format": "dense", "sparsity_config": {"format": "sparse-bitmask"}}""")]
    [InlineData("""{"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {}, "sparsity_config": {"format": "sparse-24-bitmask"}}""")]
    public void Other_sparsity_is_refused_by_its_name(string json) => Assert.Contains("sparsity_config.format",
        Assert.Throws<ModelFileException>(() => CompressedTensorsConfig.Read(JsonDocument.Parse(json).RootElement, "config.json")).Message, StringComparison.Ordinal);

    [Fact]
    public void A_checkpoint_opens_with_dense_weights_in_their_own_type()
    {
        var weight = Sparse24Format.Find(new LayeredWeight(new DensePositions(1, 4), FloatValues.Of(ElementType.BF16, [0, 2, 0, -1])))!;
        var source = GoldenPacking.Source(Sparse24Format.Pack("m", weight)).Add("n.weight", new float[4], 4);
        var config = JsonSerializer.SerializeToElement(CompressedTensorsConfig.OfSparse24(["n"], 0.5));
        using var dense = DecodingTensorSource.Wrap(source, config, "config.json");
        Assert.Equal(["m.weight", "n.weight"], dense.Tensors.Keys.Order(StringComparer.Ordinal));
        Assert.Equal((ElementType.BF16, "2:4 of BF16"), (dense.Tensors["m.weight"].Type, dense.SummaryOf("m.weight")));
        var values = new float[4];
        ElementConversion.ToSingle(ElementType.BF16, dense.Open("m.weight").Bytes(0, 8), values);
        Assert.Equal([0, 2, 0, -1], values);
    }

    private static LayeredWeight Dense(int rows, int columns, params float[] values) => new(new DensePositions(rows, columns), FloatValues.Of(ElementType.F32, values));

    private static byte[] Shape64(long[] shape) => [.. shape.SelectMany(BitConverter.GetBytes)];

    private static float[] Decoded(EncodedWeight weight)
    {
        var values = new float[weight.Rows * weight.Columns];
        weight.Decode(values);
        return values;
    }
}
