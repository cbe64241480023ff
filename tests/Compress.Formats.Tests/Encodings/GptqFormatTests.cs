using System.Text.Json;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using Compress.Testing;

namespace Compress.Formats.Tests.Encodings;

public sealed class GptqFormatTests
{
    [SharedDataFact]
    public void Golden_vectors_pack_read_and_decode_to_the_bit()
    {
        var count = 0;
        foreach (var test in GoldenPacking.Cases("gptq.json"))
        {
            var weight = Weight(test);
            GoldenPacking.AssertDecodes(weight, test.Values<float>("weight_f32_out_x_in"), test.Name());
            foreach (var (version, zeros) in new[] { (1, "qzeros_v1_masked_i32"), (2, "qzeros_v2_i32") })
            {
                var packed = GptqFormat.Pack("m", weight, version).ToDictionary(t => t.Info.Name);
                Assert.Equal(test.Shape("qweight_shape"), packed["m.qweight"].Info.Shape);
                Assert.Equal(test.Bytes("qweight_i32"), packed["m.qweight"].Bytes);
                Assert.Equal(test.Shape("qzeros_shape"), packed["m.qzeros"].Info.Shape);
                Assert.Equal(test.Bytes(zeros), packed["m.qzeros"].Bytes);
                Assert.Equal(test.Bytes("scales_f16_groups_x_out"), packed["m.scales"].Bytes);
                Assert.Equal(test.Bytes("g_idx_i32"), packed["m.g_idx"].Bytes);
                using var source = GoldenPacking.Source(packed.Values);
                var size = test.Int("group_size");
                var read = GptqFormat.Read(source, "f", "m", weight.Bits, size < 0 ? null : size, version);
                GoldenPacking.AssertSame(weight, read);
                Assert.Equal(test.GetProperty("sym").GetBoolean(), read.Symmetric);
            }
            count++;
        }
        Assert.Equal(20, count);
    }

    static GroupQuantizedWeight Weight(JsonElement test)
    {
        var (rows, columns, size) = (test.Int("out_features"), test.Int("in_features"), test.Int("group_size"));
        if (size < 0) size = columns;
        var groups = (columns + size - 1) / size;
        return new GroupQuantizedWeight
        {
            Rows = rows,
            Columns = columns,
            Bits = test.Int("bits"),
            GroupSize = size,
            Symmetric = test.GetProperty("sym").GetBoolean(),
            Codes = test.Bytes("codes_u8_in_x_out").Transposed(columns, rows),
            Scales = test.Values<Half>("scales_f16_groups_x_out").Select(h => (float)h).ToArray().Transposed(groups, rows),
            Zeros = test.Bytes("zeros_u8_groups_x_out").Select(z => (int)z).ToArray().Transposed(groups, rows),
            ScaleType = ElementType.F16,
            GroupIndex = test.GetProperty("desc_act").GetBoolean() ? test.Values<int>("g_idx_i32") : null,
        };
    }

    [Fact]
    public void What_the_format_cannot_hold_is_refused()
    {
        Assert.Contains("bits", GptqFormat.Unfit(32, 32, 5), StringComparison.Ordinal);
        Assert.Contains("32", GptqFormat.Unfit(31, 32, 4), StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => GptqFormat.Pack("m", GoldenPacking.Random(32, 48, 4, 16, false, false, 1), 1));
        var weight = GoldenPacking.Random(32, 32, 4, 16, false, false, 1);
        weight.Zeros[0] = 16;
        Assert.Throws<ArgumentException>(() => GptqFormat.Pack("m", weight, 2));
    }

    [Fact]
    public void Damaged_parts_are_file_errors()
    {
        var weight = GoldenPacking.Random(32, 64, 4, 32, false, true, 1);
        var packed = GptqFormat.Pack("m", weight, 1).ToList();
        foreach (var (index, shape) in new (int, long[])[] { (0, [8, 31]), (0, [7, 32]), (1, [1, 4]), (2, [2, 31]), (3, [63]) })
        {
            var changed = packed.ToList();
            var info = TensorInfo.Of(packed[index].Info.Name, packed[index].Info.Type, shape);
            changed[index] = new PackedTensor(info, new byte[info.ByteCount]);
            using var source = GoldenPacking.Source(changed);
            Assert.Throws<ModelFileException>(() => GptqFormat.Read(source, "f", "m", 4, 32, 1));
            changed.RemoveAt(index);
            using var without = GoldenPacking.Source(changed);
            if (index == 3) Assert.Null(GptqFormat.Read(without, "f", "m", 4, 32, 1).GroupIndex);
            else Assert.Throws<ModelFileException>(() => GptqFormat.Read(without, "f", "m", 4, 32, 1));
        }
        packed[3] = packed[3] with { Bytes = [.. Enumerable.Repeat((byte)9, 4 * 64)] };
        using var outside = GoldenPacking.Source(packed);
        Assert.Contains("group outside", Assert.Throws<ModelFileException>(() => GptqFormat.Read(outside, "f", "m", 4, 32, 1)).Message,
            StringComparison.Ordinal);
    }
}
