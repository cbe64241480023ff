using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using Compress.Formats.Encodings.Positions;
using Compress.Formats.Encodings.Values;
using Compress.Testing;

namespace Compress.Formats.Tests.Encodings;

public sealed class EncodedWeightTests
{
    const string Name = "model.a.weight";

    public static TheoryData<string, string> Pairs()
    {
        var pairs = new TheoryData<string, string>();
        foreach (var structure in RandomEncodings.Structures)
        {
            foreach (var kind in RandomEncodings.Kinds) pairs.Add(structure, kind);
        }
        return pairs;
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public void Every_pair_decodes_as_written_out_and_comes_back_from_its_tensors(string structure, string kind)
    {
        foreach (var (rows, columns) in RandomEncodings.Shapes)
        {
            var (weight, expected) = RandomEncodings.Make(structure, kind, rows, columns, seed: rows + columns);
            Assert.Equal(Bits(expected), Bits(Decoded(weight)));
            RequireRoundTrip(weight);
        }
    }

    [Theory]
    [InlineData("dense", "int4")]
    [InlineData("bitmap", "table3")]
    public void Outliers_are_added_to_the_base(string structure, string kind)
    {
        var (weight, expected) = RandomEncodings.Make(structure, kind, 7, 70, 1);
        var (outliers, added) = RandomEncodings.Make("csr", "f16", 7, 70, 2);
        EncodedWeight inner = structure == "dense" ? weight.ToGroups()! : weight;
        var sum = new DenseAndSparseWeight(inner, outliers);
        Assert.Equal(expected.Zip(added, (a, b) => a + b), Decoded(sum));
        RequireRoundTrip(sum);
        Assert.Throws<ArgumentException>(() => new DenseAndSparseWeight(sum, outliers));
    }

    [Fact]
    public void Bytes_of_a_sparse_weight_are_as_many_as_the_arithmetic_says()
    {
        var grid = GoldenPacking.Random(16, 64, 4, 32, true, false, 1);
        var zeros = Enumerable.Range(0, 16 * 64).Select(i => i % 4 < 2).ToArray();
        var groups = grid with { Codes = [.. grid.Codes.Select((c, i) => zeros[i] ? (byte)8 : c == 8 ? (byte)9 : c)] };
        const int Scales = 16 * 2 * 2;
        Assert.Equal(16 * 64 / 2 + Scales, groups.StoredBytes);
        // Half of the values, and a bit for each weight.
        var bitmap = SparseChoice.Apply(groups, SparseStorage.Bitmap);
        Assert.Equal(16 * 64 / 4 + 16 * 64 / 8 + Scales, bitmap.StoredBytes);
        // 2:4 takes two bits for each of half the weights: as many.
        var periodic = SparseChoice.Apply(groups, SparseStorage.NOfM);
        Assert.Equal((2, 4), ((PeriodicPositions)((LayeredWeight)periodic).Positions) is var p ? (p.Kept, p.Group) : default);
        Assert.Equal(bitmap.StoredBytes, periodic.StoredBytes);
        // CSR: an offset for each row and one, 16 bits a column.
        Assert.Equal(16 * 64 / 4 + 4 * 17 + 2 * 512 + Scales, SparseChoice.Apply(groups, SparseStorage.Csr).StoredBytes);
        Assert.Equal(groups, SparseChoice.Apply(groups, SparseStorage.Dense));
    }

    [Theory]
    [InlineData(0.0, "dense", "int4")]
    [InlineData(0.1, "dense", "int4")]
    [InlineData(0.5, "bitmap", "int4")]
    [InlineData(0.5, "bitmap", "bf16")]
    [InlineData(0.7, "bitmap", "int8")]
    [InlineData(0.99, "csr", "bf16")]
    [InlineData(1.0, "csr", "bf16")]
    public void The_smallest_structure_is_chosen(double sparsity, string structure, string kind)
    {
        var random = new Random(3);
        var (weight, _) = RandomEncodings.Make("dense", kind, 64, 512, 3);
        var zero = Enumerable.Range(0, 64 * 512).Select(i => random.NextDouble() < sparsity).ToArray();
        weight = weight.Values switch
        {
            IntegerValues v => new LayeredWeight(weight.Positions, new IntegerValues(v.Grid, [.. v.Codes.Select((c, i) => zero[i] ? (byte)(1 << (v.Grid.Bits - 1)) : c)])),
            _ => new LayeredWeight(weight.Positions, FloatValues.Of(ElementType.BF16, [.. Decoded(weight).Select((w, i) => zero[i] ? 0 : w)])),
        };
        var chosen = (LayeredWeight)SparseChoice.Apply(weight, SparseStorage.Auto);
        Assert.Equal(structure, chosen.Positions.Kind);
        Assert.Equal(Decoded(weight), Decoded(chosen));
        foreach (var storage in Enum.GetValues<SparseStorage>())
        {
            var other = SparseChoice.Apply(weight, storage);
            Assert.Equal(Decoded(weight), Decoded(other));
            Assert.True(chosen.StoredBytes <= other.StoredBytes, storage.ToString());
        }
    }

    [Fact]
    public void A_pattern_with_spare_zeros_is_stored_as_that_pattern()
    {
        // 1:8 with empty groups: one place of three bits for each group, against a bit for each weight.
        var values = Enumerable.Range(0, 4 * 64).Select(i => i % 8 == i / 8 % 8 && i % 24 != 0 ? 1f + i : 0).ToArray();
        var weight = new LayeredWeight(new DensePositions(4, 64), FloatValues.Of(ElementType.F32, values));
        var positions = Assert.IsType<PeriodicPositions>(((LayeredWeight)SparseChoice.Apply(weight, SparseStorage.NOfM)).Positions);
        Assert.Equal((1, 8), (positions.Kept, positions.Group));
    }

    [Fact]
    public void Sparse_integers_become_groups_where_every_zero_point_is_a_code()
    {
        var (weight, expected) = RandomEncodings.Make("bitmap", "int4", 5, 37, 1);
        Assert.Equal(expected, Decoded(weight.ToGroups()!));
        Assert.Null(RandomEncodings.Make("bitmap", "int4z", 5, 37, 1).Weight.ToGroups());
        Assert.Null(RandomEncodings.Make("bitmap", "int4f", 5, 37, 1).Weight.ToGroups());
        Assert.Null(RandomEncodings.Make("bitmap", "table4", 5, 37, 1).Weight.ToGroups());
    }

    [Fact]
    public void Planes_hold_every_precision()
    {
        var (weight, _) = RandomEncodings.Make("dense", "planes", 5, 37, 1);
        var planes = (PlaneValues)weight.Values;
        for (var bits = 3; bits <= 6; bits++)
        {
            var low = planes.At(bits);
            var line = Decoded(new LayeredWeight(weight.Positions, low)).AsSpan(2 * 37, 37).ToArray();
            Assert.Equal(line, Enumerable.Range(0, 37).Select(c => planes.Tables(bits)[(2 << bits) + (planes.Codes[2 * 37 + c] >> (6 - bits))]));
            Assert.Equal(bits * 24 + 5 * (2 << bits), low.ReadBytes);
        }
    }

    [Fact]
    public void Layers_that_contradict_each_other_are_refused()
    {
        static void Refused(Func<object> make) => Assert.ThrowsAny<ArgumentException>(make);
        Refused(() => new BitmapPositions(1, 9, [0, 2]));
        Refused(() => new BitmapPositions(1, 9, [0]));
        Refused(() => new CsrPositions(2, 4, [0, 2, 1], [0]));
        Refused(() => new CsrPositions(2, 4, [0, 5, 1], [0]));
        Refused(() => new CsrPositions(1, 4, [0, 2], [1, 1]));
        Refused(() => new CsrPositions(1, 4, [0, 1], [4]));
        Refused(() => new CsrPositions(1, 4, [0, 1], [-1]));
        Refused(() => new PeriodicPositions(1, 4, 2, 4, [1, 1]));
        Refused(() => new PeriodicPositions(1, 6, 2, 4, [0, 1, 0, 2]));
        Refused(() => new PeriodicPositions(1, 4, 4, 4, [0, 1, 2, 3]));
        Refused(() => new DensePositions(1 << 20, 1 << 20));
        Refused(() => new TableValues(2, [4], new float[4], ElementType.F16));
        Refused(() => new LayeredWeight(new DensePositions(1, 2), FloatValues.Of(ElementType.F32, [1])));
        Refused(() => new LayeredWeight(new DensePositions(2, 1), new TableValues(1, [0, 1], [1, 2], ElementType.F32)));
    }

    [Fact]
    public void Damaged_tensors_are_refused_by_name()
    {
        Refused("dense", "int4", t => t["codes"] = Part("codes", ElementType.U8, new byte[3], 3), "codes");
        Refused("dense", "int4", t => t.Remove("scales"), "scales");
        Refused("dense", "int4", t => t["scales"] = Part("scales", ElementType.F32, [0, 0, 0xC0, 0x7F], 1, 1), "scales");
        Refused("dense", "int4o", t => t["group_index"].Bytes[3] = 0x7F, "group_index");
        Refused("dense", "int4z", t => Array.Fill(t["zeros"].Bytes, byte.MaxValue), "zeros");
        Refused("dense", "int3f", t => Array.Fill(t["zeros"].Bytes, byte.MaxValue), "zeros");
        Refused("dense", "table3", t => t["tables"].Bytes.AsSpan().Fill(0xFF), "tables");
        Refused("dense", "planes", t => t.Remove("tables_5"), "tables_5");
        Refused("dense", "f16", t => t["values"] = Part("values", ElementType.I16, t["values"].Bytes, 5 * 37), "values");
        Refused("bitmap", "f16", t => t["bitmap"].Bytes[4] = 0xFF, "bitmap");
        Refused("bitmap", "f16", t => t["bitmap"].Bytes[0] ^= 1, "values");
        Refused("csr", "f16", t => t["row_offsets"].Bytes[3] = 0x80, "row offsets");
        Refused("csr", "f16", t => t["columns"].Bytes[0] = 200, "column");
        Refused("2:4", "f16", t => t["places"].Bytes[0] = 0, "place");
    }

    [Fact]
    public void Malformed_configurations_are_refused_before_anything_is_read()
    {
        static void Refused(string encodings, string problem)
        {
            using var source = new InMemoryTensors().Add("m.weight.values", new float[4], 4);
            var config = $$"""{"quant_method":"compress","version":1,"encodings":{{encodings}}}""";
            var e = Assert.Throws<ModelFileException>(() =>
            {
                using var dense = DecodingTensorSource.Wrap(source, JsonElement.Parse(config), "config.json");
                dense.Open("m.weight");
            });
            Assert.Contains(problem, e.Message, StringComparison.Ordinal);
        }
        static string One(string weights, string values = """{"kind":"float"}""", string positions = """{"kind":"dense"}""") =>
            $$"""[{"positions":{{positions}},"values":{{values}},"weights":{{weights}}}]""";
        const string Good = """{"m.weight":[2,2]}""";
        Refused("{}", "encodings");
        Refused("[1]", "encodings");
        Refused("[{}]", "weights");
        Refused(One("""{"m.weight":[2]}"""), "shape");
        Refused(One("""{"m.weight":[2,0]}"""), "shape");
        Refused(One("""{"m.weight":[2,-2]}"""), "shape");
        Refused(One("""{"m.weight":[2,2.5]}"""), "shape");
        Refused(One("""{"m.weight":[65536,65536]}"""), "shape");
        Refused(One("""{"n.weight":[2,2]}"""), "n.weight");
        Refused(One("""{"m.weight":[2,3]}"""), "values");
        Refused(One("""{"m.weight":[2,2],"m.weight.values":[2,2]}"""), "m.weight");
        Refused(One(Good, """{"kind":"int"}"""), "kind");
        Refused(One(Good, """{"kind":"integer","bits":9}"""), "bits");
        Refused(One(Good, """{"kind":"integer","bits":4,"group_size":0}"""), "group_size");
        Refused(One(Good, """{"kind":"table","bits":4}"""), "tables");
        Refused(One(Good, """{"kind":"planes","bits":3,"seed_bits":4}"""), "seed_bits");
        Refused(One(Good, positions: """{"kind":"coo"}"""), "kind");
        Refused(One(Good, positions: """{"kind":"n_of_m","kept":4,"of":4}"""), "kept");
        Refused(One(Good, positions: """{"kind":"bitmap"}"""), "bitmap");
        Refused(One(Good, positions: """{"kind":"csr"}"""), "row_offsets");
        using var later = new InMemoryTensors();
        Assert.Contains("version", Assert.Throws<ModelFileException>(() => DecodingTensorSource.Wrap(
            later, JsonElement.Parse("""{"quant_method":"compress","version":2,"encodings":[]}"""), "config.json")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_large_shape_without_the_bytes_for_it_allocates_nothing()
    {
        using var source = new InMemoryTensors().Add("m.weight.values", new float[4], 4).Add("m.weight.bitmap", ElementType.U8, new byte[8], 8);
        foreach (var positions in new[] { "dense", "bitmap", "csr" })
        {
            var config = $$$"""
                {"quant_method":"compress","version":1,"encodings":
                [{"positions":{"kind":"{{{positions}}}"},"values":{"kind":"float"},"weights":{"m.weight":[32768,32768]}}]}
                """;
            using var dense = DecodingTensorSource.Wrap(source, JsonElement.Parse(config), "config.json");
            var before = GC.GetAllocatedBytesForCurrentThread();
            Assert.Throws<ModelFileException>(() => dense.ReadEncoded("m.weight"));
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        }
    }

    static PackedTensor Part(string part, ElementType type, byte[] bytes, params long[] shape) => new(TensorInfo.Of($"{Name}.{part}", type, shape), bytes);

    static void Refused(string structure, string kind, Action<Dictionary<string, PackedTensor>> damage, string problem)
    {
        var (weight, _) = RandomEncodings.Make(structure, kind, 5, 37, 1);
        var tensors = EncodedFormat.Pack(Name, weight).ToDictionary(t => t.Info.Name[(Name.Length + 1)..]);
        damage(tensors);
        using var source = Open(weight, [.. tensors.Values]);
        var e = Assert.Throws<ModelFileException>(() => source.ReadEncoded(Name));
        Assert.Contains(problem, e.Message, StringComparison.Ordinal);
        Assert.Contains(Name, e.Message, StringComparison.Ordinal);
    }

    static void RequireRoundTrip(EncodedWeight weight)
    {
        var packed = EncodedFormat.Pack(Name, weight);
        Assert.Equal(packed.Sum(p => p.Info.ByteCount), weight.StoredBytes);
        Assert.All(packed, p => Assert.Equal(p.Info.ByteCount, p.Bytes.Length));
        using var source = Open(weight, packed);
        var info = Assert.Single(source.Tensors.Values, t => t.Name == Name);
        var read = source.ReadEncoded(Name)!;
        Assert.Equal(Bits(Decoded(weight)), Bits(Decoded(read)));
        Assert.Equal(weight.StoredBytes, read.StoredBytes);
        Assert.Equal((weight.Summary, weight.StoredBytes), (source.SummaryOf(Name), source.StoredBytes(Name)));
        Assert.Null(source.SummaryOf("model.norm.weight"));
        Assert.Equal(EncodedFormat.Describe(weight).ToJsonString(), EncodedFormat.Describe(read).ToJsonString());
        var view = source.Open(Name);
        var dense = new float[weight.Rows * weight.Columns];
        ElementConversion.ToSingle(info.Type, view.Bytes(0, (int)info.ByteCount), dense);
        Assert.Equal(Bits(Decoded(weight)), Bits(dense));
    }

    static DecodingTensorSource Open(EncodedWeight weight, IReadOnlyList<PackedTensor> packed)
    {
        var config = new EncodedConfig();
        config.Add(Name, weight);
        var json = JsonSerializer.SerializeToElement<JsonNode>(config.ToJson());
        Assert.True(DecodingTensorSource.Reads(json));
        return DecodingTensorSource.Wrap(GoldenPacking.Source(packed).Add("model.norm.weight", new float[3], 3), json, "config.json");
    }

    static float[] Decoded(EncodedWeight weight)
    {
        var values = new float[weight.Rows * weight.Columns];
        weight.Decode(values);
        return values;
    }

    static int[] Bits(float[] values) => MemoryMarshal.Cast<float, int>(values).ToArray();
}
