using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using Compress.Testing;

namespace Compress.Formats.Tests.Encodings;

public sealed class AwqFormatTests
{
    [SharedDataFact]
    public void Golden_vectors_pack_read_and_decode_to_the_bit()
    {
        var count = 0;
        foreach (var test in GoldenPacking.Cases("awq.json"))
        {
            var (rows, columns, size) = (test.Int("out_features"), test.Int("in_features"), test.Int("group_size"));
            if (size < 0) size = columns;
            var groups = columns / size;
            var weight = new GroupQuantizedWeight
            {
                Rows = rows,
                Columns = columns,
                Bits = 4,
                GroupSize = size,
                Symmetric = false,
                Codes = test.Bytes("codes_u8_in_x_out").Transposed(columns, rows),
                Scales = test.Values<Half>("scales_f16_groups_x_out").Select(h => (float)h).ToArray().Transposed(groups, rows),
                Zeros = test.Bytes("zeros_u8_groups_x_out").Select(z => (int)z).ToArray().Transposed(groups, rows),
                ScaleType = ElementType.F16,
            };
            GoldenPacking.AssertDecodes(weight, test.Values<float>("weight_f32_out_x_in"), test.Name());
            var packed = AwqFormat.Pack("m", weight).ToDictionary(t => t.Info.Name);
            Assert.Equal(test.Shape("qweight_shape"), packed["m.qweight"].Info.Shape);
            Assert.Equal(test.Bytes("qweight_i32"), packed["m.qweight"].Bytes);
            Assert.Equal(test.Shape("qzeros_shape"), packed["m.qzeros"].Info.Shape);
            Assert.Equal(test.Bytes("qzeros_i32"), packed["m.qzeros"].Bytes);
            Assert.Equal(test.Bytes("scales_f16_groups_x_out"), packed["m.scales"].Bytes);
            using var source = GoldenPacking.Source(packed.Values);
            GoldenPacking.AssertSame(weight, AwqFormat.Read(source, "f", "m", size == columns ? null : size));
            count++;
        }
        Assert.Equal(3, count);
    }

    [Fact]
    public void What_the_format_cannot_hold_is_refused()
    {
        Assert.Throws<ArgumentException>(() => AwqFormat.Pack("m", GoldenPacking.Random(32, 32, 3, 16, false, false, 1)));
        Assert.Throws<ArgumentException>(() => AwqFormat.Pack("m", GoldenPacking.Random(31, 32, 4, 16, false, false, 1)));
        Assert.Throws<ArgumentException>(() => AwqFormat.Pack("m", GoldenPacking.Random(32, 32, 4, 16, false, true, 1)));
    }
}
