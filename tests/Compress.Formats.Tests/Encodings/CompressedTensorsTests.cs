using System.Text.Json;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using Compress.Testing;

namespace Compress.Formats.Tests.Encodings;

public sealed class CompressedTensorsTests
{
    [SharedDataFact]
    public void Golden_vectors_pack_read_and_decode_to_the_bit()
    {
        var count = 0;
        foreach (var test in GoldenPacking.Cases("compressed_tensors.json"))
        {
            var weight = Weight(test);
            GoldenPacking.AssertDecodes(weight, test.Values<float>("weight_f32_out_x_in"), test.Name());
            var packed = CompressedTensors.Pack("m", weight).ToDictionary(t => t.Info.Name);
            AssertPart(test, packed["m.weight_packed"], "weight_packed_shape", "weight_packed_i32");
            Assert.Equal(test.Bytes("weight_scale_f16_out_x_groups"), packed["m.weight_scale"].Bytes);
            if (weight.Symmetric) Assert.False(packed.ContainsKey("m.weight_zero_point"));
            else AssertPart(test, packed["m.weight_zero_point"], "weight_zero_point_shape", "weight_zero_point_i32");
            using var source = GoldenPacking.Source(packed.Values);
            GoldenPacking.AssertSame(weight, CompressedTensors.Read(source, "f", "m", QuantizationScheme.Of(weight)));
            count++;
        }
        Assert.Equal(15, count);
    }

    static void AssertPart(JsonElement test, PackedTensor actual, string shape, string bytes)
    {
        Assert.Equal(test.Shape(shape), actual.Info.Shape);
        Assert.Equal(test.Bytes(bytes), actual.Bytes);
    }

    static GroupQuantizedWeight Weight(JsonElement test)
    {
        var shape = test.Shape("weight_shape");
        var (bits, symmetric) = (test.Int("num_bits"), test.GetProperty("symmetric").GetBoolean());
        var offset = 1 << (bits - 1);
        var scales = test.Values<Half>("weight_scale_f16_out_x_groups").Select(h => (float)h).ToArray();
        var size = test.Int("group_size");
        return new GroupQuantizedWeight
        {
            Rows = (int)shape[0],
            Columns = (int)shape[1],
            Bits = bits,
            GroupSize = size < 0 ? (int)shape[1] : size,
            Symmetric = symmetric,
            Codes = [.. test.Values<sbyte>("codes_i8_out_x_in").Select(c => (byte)(c + offset))],
            Scales = scales,
            Zeros = symmetric
                ? [.. Enumerable.Repeat(offset, scales.Length)]
                : [.. test.Values<sbyte>("zero_point_i8_out_x_groups").Select(z => z + offset)],
            ScaleType = ElementType.F16,
        };
    }

    [Theory]
    [InlineData(3, 48, 16, false, true)]
    [InlineData(4, 64, 32, true, true)]
    [InlineData(4, 33, 33, true, false)]
    [InlineData(8, 60, 20, false, false)]
    public void What_is_described_is_packed_and_reads_back(int bits, int columns, int group, bool symmetric, bool order)
    {
        var weight = GoldenPacking.Random(9, columns, bits, group, symmetric, order, seed: bits);
        var packed = CompressedTensors.Pack("a.b", weight);
        var described = CompressedTensors.Describe("a.b", 9, columns, QuantizationScheme.Of(weight));
        Assert.Equal(described.Select(t => (t.Name, t.Type, t.ShapeText, t.ByteCount)),
            packed.Select(t => (t.Info.Name, t.Info.Type, t.Info.ShapeText, (long)t.Bytes.Length)));
        using var source = GoldenPacking.Source(packed);
        GoldenPacking.AssertSame(weight, CompressedTensors.Read(source, "f", "a.b", QuantizationScheme.Of(weight)));
    }

    [Fact]
    public void What_the_format_cannot_hold_is_refused()
    {
        var weight = GoldenPacking.Random(4, 48, 4, 32, false, false, 1);
        Assert.Contains("divide", CompressedTensors.Unfit(48, QuantizationScheme.Of(weight)), StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => CompressedTensors.Pack("m", weight));
        var good = GoldenPacking.Random(4, 64, 4, 32, false, false, 1);
        good.Zeros[3] = 16;
        Assert.Throws<ArgumentException>(() => CompressedTensors.Pack("m", good));
    }

    [Fact]
    public void Damaged_parts_are_file_errors()
    {
        var weight = GoldenPacking.Random(4, 64, 4, 32, false, true, 1);
        var packed = CompressedTensors.Pack("m", weight).ToDictionary(t => t.Info.Name);
        var scheme = QuantizationScheme.Of(weight);
        void Refused(string part, byte[]? bytes, string problem, ElementType? type = null, params long[] shape)
        {
            var tensors = packed.Values.Where(t => t.Info.Name != $"m.{part}").ToList();
            var old = packed[$"m.{part}"];
            if (bytes is not null)
                tensors.Add(new(TensorInfo.Of(old.Info.Name, type ?? old.Info.Type, shape.Length > 0 ? shape : [.. old.Info.Shape]),
                    bytes));
            using var source = GoldenPacking.Source(tensors);
            var e = Assert.Throws<ModelFileException>(() => CompressedTensors.Read(source, "f", "m", scheme));
            Assert.Contains(part, e.Message, StringComparison.Ordinal);
            Assert.Contains(problem, e.Message, StringComparison.Ordinal);
        }
        Refused("weight_scale", null, "missing");
        Refused("weight_shape", null, "missing");
        Refused("weight_zero_point", null, "missing");
        Refused("weight_shape", [.. BitConverter.GetBytes(4L), .. BitConverter.GetBytes(63L << 31)], "does not belong");
        Refused("weight_shape", [.. BitConverter.GetBytes(5L), .. BitConverter.GetBytes(64L)], "does not belong");
        Refused("weight_packed", new byte[4 * 4 * 7], "words", null, 4, 7);
        Refused("weight_packed", new byte[4 * 64], "matrix", null, 64);
        Refused("weight_scale", new byte[4 * 4], "[4, 2] is expected", null, 4, 2, 1);
        Refused("weight_scale", new byte[4 * 4 * 2], "I32", ElementType.I32, 4, 2);
        Refused("weight_scale", [.. Enumerable.Repeat((byte)0x7C, 16)], "finite");
        Refused("weight_g_idx", [.. Enumerable.Repeat((byte)1, 4 * 64)], "group outside");
    }

    [Fact]
    public void One_scale_may_stand_for_all()
    {
        var weight = GoldenPacking.Random(4, 64, 4, 64, true, false, 1);
        var packed = CompressedTensors.Pack("m", weight).Select(t => t.Info.Name == "m.weight_scale"
            ? new PackedTensor(TensorInfo.Of("m.weight_scale", ElementType.F32, 1), BitConverter.GetBytes(0.5f)) : t);
        using var source = GoldenPacking.Source(packed);
        var read = CompressedTensors.Read(source, "f", "m", QuantizationScheme.Of(weight));
        Assert.Equal([0.5f, 0.5f, 0.5f, 0.5f], read.Scales);
    }
}
