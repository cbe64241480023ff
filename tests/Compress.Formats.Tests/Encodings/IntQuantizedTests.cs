using System.Text.Json;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using Compress.Formats.Encodings.Packed;
using Compress.Testing;

namespace Compress.Formats.Tests.Encodings;

public sealed class IntQuantizedTests
{
    private static readonly IntQuantized Format = new();

    /// <summary>The signed codes of the golden vectors, written as the format has them: one a byte.</summary>
    [SharedDataFact]
    public void Golden_codes_of_every_width_read_and_decode_to_the_bit()
    {
        var count = 0;
        foreach (var test in GoldenPacking.Cases("compressed_tensors.json"))
        {
            var (shape, size, symmetric) = (test.Shape("weight_shape"), test.Int("group_size"), test.GetProperty("symmetric").GetBoolean());
            var groups = size < 0 ? 1 : shape[1] / size;
            using var source = new InMemoryTensors();
            source.Add("m.weight", ElementType.I8, test.Bytes("codes_i8_out_x_in"), shape);
            source.Add("m.weight_scale", ElementType.F16, test.Bytes("weight_scale_f16_out_x_groups"), shape[0], groups);
            if (!symmetric) source.Add("m.weight_zero_point", ElementType.I8, test.Bytes("zero_point_i8_out_x_groups"), shape[0], groups);
            var scheme = new QuantizationScheme(test.Int("num_bits"), size < 0 ? null : size, symmetric, false, ElementType.F16);
            var weight = IntQuantized.Read(source, "f", "m", scheme);
            GoldenPacking.AssertDecodes(weight, test.Values<float>("weight_f32_out_x_in"), test.Name());
            count++;
            if (weight.Bits != 8) continue;
            var packed = Format.Pack("m", weight).ToDictionary(p => p.Info.Name);
            Assert.Equal(test.Bytes("codes_i8_out_x_in"), packed["m.weight"].Bytes);
            if (!symmetric) Assert.Equal(test.Bytes("zero_point_i8_out_x_groups"), packed["m.weight_zero_point"].Bytes);
        }
        Assert.Equal(15, count);
    }

    [Theory]
    [InlineData(32, true, false)]
    [InlineData(16, false, false)]
    [InlineData(16, false, true)]
    public void A_checkpoint_opens_with_the_weight_it_was_written_from(int size, bool symmetric, bool order)
    {
        var weight = GoldenPacking.Random(6, 32, 8, size, symmetric, order, 4);
        var config = JsonSerializer.SerializeToElement(Format.Config([new PackedModule("m", 6, 32, QuantizationScheme.Of(weight)), new PackedModule("n", 1, 1, null)]));
        Assert.Equal("int-quantized", config.GetProperty("format").GetString());
        var source = GoldenPacking.Source(Format.Pack("m", weight)).Add("n.weight", new float[1], 1, 1);
        using var dense = DecodingTensorSource.Wrap(source, config, "config.json");
        Assert.Equal(["m.weight", "n.weight"], dense.Tensors.Keys.Order(StringComparer.Ordinal));
        GoldenPacking.AssertSame(weight, (GroupQuantizedWeight)dense.ReadEncoded("m.weight")!);
        Assert.Null(dense.ReadEncoded("n.weight"));
    }

    [Fact]
    public void What_the_format_cannot_hold_is_refused()
    {
        Assert.Contains("8 bits, not 4", Format.Unfit([new PackedModule("a.b", 4, 32, new QuantizationScheme(4, 16, true, false, ElementType.F16))]), StringComparison.Ordinal);
        var weight = GoldenPacking.Random(2, 16, 8, 16, false, false, 1);
        weight.Zeros[0] = 256;
        Assert.Contains("256", Assert.Throws<ArgumentException>(() => Format.Pack("m", weight)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("weight", ElementType.I8, 5, 32)]
    [InlineData("weight", ElementType.U8, 6, 32)]
    [InlineData("weight", ElementType.I8, 6, 0)]
    [InlineData("weight_scale", ElementType.F16, 6, 3)]
    [InlineData("weight_scale", ElementType.I32, 6, 2)]
    [InlineData("weight_zero_point", ElementType.I8, 2, 6)]
    public void Damaged_parts_are_file_errors(string part, ElementType type, int first, int second)
    {
        var weight = GoldenPacking.Random(6, 32, 8, 16, false, false, 4);
        var parts = Format.Pack("m", weight).ToList();
        var at = parts.FindIndex(p => p.Info.Name == "m." + part);
        var info = TensorInfo.Of("m." + part, type, first, second);
        var scheme = QuantizationScheme.Of(weight);
        using var changed = GoldenPacking.Source([.. parts.Take(at), new PackedTensor(info, new byte[info.ByteCount]), .. parts.Skip(at + 1)]);
        Assert.Throws<ModelFileException>(() => IntQuantized.Read(changed, "f", "m", scheme));
        using var without = GoldenPacking.Source([.. parts.Take(at), .. parts.Skip(at + 1)]);
        Assert.Throws<ModelFileException>(() => IntQuantized.Read(without, "f", "m", scheme));
    }

    [Fact]
    public void A_code_beyond_the_bits_is_refused()
    {
        using var source = new InMemoryTensors();
        source.Add("m.weight", ElementType.I8, [7, 8], 1, 2);
        source.Add("m.weight_scale", ElementType.F32, [0, 0, 128, 63], 1, 1);
        Assert.Contains("holds 8, which 4 bits do not", Assert.Throws<ModelFileException>(() =>
            IntQuantized.Read(source, "f", "m", new QuantizationScheme(4, null, true, false, ElementType.F32))).Message, StringComparison.Ordinal);
    }
}
