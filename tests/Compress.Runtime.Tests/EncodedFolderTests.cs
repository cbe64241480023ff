using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using Compress.Formats.Encodings.Positions;
using Compress.Formats.Encodings.Values;
using Compress.Runtime.Model;
using Compress.Testing;

namespace Compress.Runtime.Tests;

/// <summary>A checkpoint in Compress's own format gives the logits of the dense one that it decodes to, and says how it runs.</summary>
public sealed class EncodedFolderTests : IDisposable
{
    private static readonly int[] Prompt = [.. Enumerable.Range(0, 30).Select(i => 3 + i * 37 % 2000)];

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("bitmap of 4-bit integers", "from codes", "decoded to F32")]
    [InlineData("2:4 of 8-bit integers", "from bitmap and codes", "decoded to F32")]
    [InlineData("bitmap of 8-bit integers", "from bitmap and codes", "decoded to F32")]
    [InlineData("csr of 5-bit integers", "from codes", "decoded to F32")]
    [InlineData("bitmap of BF16", "decoded to BF16", "decoded to BF16")]
    [InlineData("3-bit tables and outliers", "from codes, tables rounded to 8 bits, outliers added", "decoded to F32")]
    public void Logits_equal_those_of_the_decoded_twin(string encoding, string quantizedUse, string fullUse)
    {
        var (packed, dense) = Write(encoding);
        var (expected, none) = Logits(dense, ActivationPrecision.Full);
        Assert.Empty(none);
        var size = expected.Max(Math.Abs);
        var (full, uses) = Logits(packed, ActivationPrecision.Full);
        Assert.True(Worst(expected, full) < 1e-4 * size);
        Assert.Equal([new EncodingUse(encoding, fullUse, 28)], uses);
        (var quantized, uses) = Logits(packed, ActivationPrecision.Quantized);
        Assert.True(Worst(expected, quantized) < 0.08 * size);
        Assert.Equal([new EncodingUse(encoding, quantizedUse, 28)], uses);
    }

    private static (float[] Logits, IReadOnlyList<EncodingUse> Uses) Logits(string path, ActivationPrecision activations)
    {
        using var model = RuntimeModel.Open(path, new RuntimeOptions { Threads = 2, Activations = activations });
        using var session = model.NewSession(Prompt.Length + 1);
        session.Forward(Prompt);
        return (session.Forward([5]).ToArray(), model.Encodings);
    }

    private static float Worst(float[] a, float[] b) => a.Zip(b, (x, y) => Math.Abs(x - y)).Max();

    private (string Packed, string Dense) Write(string encoding)
    {
        using var original = ModelFolder.Open(Path.Combine(SharedData.Repository, "models", "embedded"));
        var sites = original.Spec.Blocks
            .SelectMany(b => new[] { b.Attention!.Query, b.Attention.Key, b.Attention.Value, b.Attention.Output, b.Mlp!.Gate!, b.Mlp.Up, b.Mlp.Down })
            .Select(l => l.Weight.Tensor).ToHashSet();
        var config = new EncodedConfig();
        var (encoded, dense) = (new List<PackedTensor>(), new List<PackedTensor>());
        foreach (var info in original.Tensors.Tensors.Values)
        {
            var view = original.Tensors.Open(info.Name);
            if (!sites.Contains(info.Name))
            {
                PackedTensor same = new(info, view.Bytes(0, (int)info.ByteCount).ToArray());
                encoded.Add(same);
                dense.Add(same);
                continue;
            }
            var values = new float[info.ElementCount];
            ElementConversion.ToSingle(info.Type, view.Bytes(0, (int)info.ByteCount), values);
            var weight = Encode(encoding, (int)info.Shape[0], (int)info.Shape[1], values);
            config.Add(info.Name, weight);
            encoded.AddRange(EncodedFormat.Pack(info.Name, weight));
            weight.Decode(values);
            dense.Add(new(TensorInfo.Of(info.Name, ElementType.F32, info.Shape.AsSpan()), MemoryMarshal.AsBytes<float>(values).ToArray()));
        }
        Write("packed", original, encoded, config.ToJson());
        Write("dense", original, dense, null);
        return (folder.At("packed"), folder.At("dense"));
    }

    private void Write(string name, ModelFolder original, List<PackedTensor> tensors, JsonObject? quantization)
    {
        var config = JsonNode.Parse(original.Config.GetRawText())!.AsObject();
        if (quantization is not null) config["quantization_config"] = quantization;
        using var writer = HuggingFaceFolderWriter.Create(folder.At(name), JsonSerializer.SerializeToElement(config), [.. tensors.Select(t => t.Info)]);
        foreach (var tensor in tensors) writer.Write(tensor.Info.Name, tensor.Bytes);
        writer.Complete();
    }

    /// <summary>Removes half (where CSR is asked for, a quarter) of each four weights and rounds the rest, or rounds to a table and keeps a few weights as they were.</summary>
    private static EncodedWeight Encode(string encoding, int rows, int columns, float[] values)
    {
        if (encoding.EndsWith("outliers", StringComparison.Ordinal)) return Table(rows, columns, values);
        var pruned = values.ToArray();
        for (var i = 0; i < pruned.Length; i += 4)
        {
            foreach (var k in Enumerable.Range(i, 4).OrderBy(k => Math.Abs(values[k])).Take(encoding.StartsWith("csr", StringComparison.Ordinal) ? 1 : 2)) pruned[k] = 0;
        }
        var storage = encoding.StartsWith("bitmap", StringComparison.Ordinal) ? SparseStorage.Bitmap
            : encoding.StartsWith("csr", StringComparison.Ordinal) ? SparseStorage.Csr : SparseStorage.NOfM;
        EncodedWeight weight = encoding.EndsWith("BF16", StringComparison.Ordinal)
            ? new LayeredWeight(new DensePositions(rows, columns), FloatValues.Of(ElementType.BF16, pruned))
            : Integers(rows, columns, encoding[encoding.IndexOf("-bit", StringComparison.Ordinal) - 1] - '0', pruned);
        return SparseChoice.Apply(weight, storage);
    }

    private static GroupQuantizedWeight Integers(int rows, int columns, int bits, float[] values)
    {
        const int Group = 64;
        var middle = 1 << (bits - 1);
        var scales = values.Chunk(Group).Select(g => (float)(Half)Math.Max(1e-4f, g.Max(Math.Abs) / (middle - 1))).ToArray();
        return new GroupQuantizedWeight
        {
            Rows = rows,
            Columns = columns,
            Bits = bits,
            GroupSize = Group,
            Symmetric = true,
            ScaleType = ElementType.F16,
            Scales = scales,
            Zeros = [.. Enumerable.Repeat(middle, scales.Length)],
            Codes = [.. values.Select((v, i) => (byte)Math.Clamp(MathF.Round(v / scales[i / Group]) + middle, 0, 2 * middle - 1))],
        };
    }

    private static DenseAndSparseWeight Table(int rows, int columns, float[] values)
    {
        var tables = new float[rows * 8];
        for (var r = 0; r < rows; r++)
        {
            var sorted = values.Skip(r * columns).Take(columns).Order().ToArray();
            for (var k = 0; k < 8; k++) tables[8 * r + k] = (float)(Half)sorted[(2 * k + 1) * columns / 16];
        }
        byte[] codes = [.. values.Select((v, i) => (byte)Enumerable.Range(0, 8).MinBy(k => Math.Abs(v - tables[i / columns * 8 + k])))];
        var table = new LayeredWeight(new DensePositions(rows, columns), new TableValues(3, codes, tables, ElementType.F16));
        var rest = values.Select((v, i) => v - tables[i / columns * 8 + codes[i]]).ToArray();
        int[] kept = [.. Enumerable.Range(0, rest.Length).OrderByDescending(i => Math.Abs(rest[i])).Take(rest.Length / 200).Order()];
        var offsets = Enumerable.Range(0, rows + 1).Select(r => kept.Count(i => i < r * columns)).ToArray();
        return new DenseAndSparseWeight(table, new LayeredWeight(
            new CsrPositions(rows, columns, offsets, [.. kept.Select(i => i % columns)]), FloatValues.Of(ElementType.F16, [.. kept.Select(i => rest[i])])));
    }
}
