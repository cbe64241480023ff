using System.Runtime.InteropServices;
using Compress.Formats.Checkpoints;
using Compress.Testing;

namespace Compress.Formats.Tests.Checkpoints;

public sealed class Llama2cFileTests : IDisposable
{
    const int Dim = 12, Hidden = 6, Layers = 2, Heads = 3, KvHeads = 1, Vocabulary = 5, Length = 7, HeadSize = 4;

    readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [SharedDataFact]
    public void Both_versions_of_a_real_model_hold_the_same_tensors()
    {
        using var legacy = Llama2cFile.Map(SharedData.At("models", "stories260K", "stories260K.bin"));
        using var version1 = Llama2cFile.Map(SharedData.At("models", "stories260K", "stories260K.ak42.v1.bin"));
        Assert.Equal(2 + 9 * 5, legacy.Tensors.Count);
        Assert.Equal(260_032, legacy.Tensors.Values.Sum(t => t.ElementCount));
        Assert.Equal(legacy.Tensors.Keys.Order(StringComparer.Ordinal), version1.Tensors.Keys.Order(StringComparer.Ordinal));
        foreach (var name in legacy.Tensors.Keys) Assert.Equal(Values(legacy, name), Values(version1, name));
        Assert.True(legacy.Config.GetProperty("tie_word_embeddings").GetBoolean());
        Assert.Equal(4, legacy.Config.GetProperty("num_key_value_heads").GetInt32());
        Assert.Equal(512, legacy.Config.GetProperty("max_position_embeddings").GetInt32());
    }

    [SharedDataFact]
    public void A_folder_opens_the_real_models()
    {
        using var model = ModelFolder.Open(SharedData.At("models", "babyllama-tok105", "model5000.bin"));
        Assert.Equal(936_448, model.Tensors.Tensors.Values.Sum(t => t.ElementCount));
        Assert.Equal([105, 128], model.Tensors.Tensors["model.embed_tokens.weight"].Shape.ToArray());
        Assert.Equal((5, 352, 105), (model.Spec.Blocks.Length, model.Spec.Blocks[0].Mlp!.Up.OutFeatures, model.Spec.VocabularySize));
        Assert.True(model.Spec.Head.Tied);
        var e = Assert.Throws<ModelFileException>(() => ModelFolder.Open(SharedData.At("models", "stories260K")));
        Assert.Contains("llama2.c", e.Problem, StringComparison.Ordinal);
    }

    /// <summary>Scores of rotated queries and keys must be those of llama2.c's own rotation of neighbouring dimensions.</summary>
    [Fact]
    public void Half_split_rotation_of_the_import_scores_like_interleaved_rotation_of_the_file()
    {
        var (bytes, raw) = Model(version: 0, tied: true);
        using var file = Llama2cFile.Map(folder.Write("m.bin", bytes));
        var random = new Random(3);
        var x = Enumerable.Range(0, Dim).Select(_ => random.NextDouble()).ToArray();
        foreach (var layer in Enumerable.Range(0, Layers))
        {
            var (q, k) = ($"model.layers.{layer}.self_attn.q_proj.weight", $"model.layers.{layer}.self_attn.k_proj.weight");
            var (rawQ, rawK) = (Multiply(raw[q], x), Multiply(raw[k], x));
            var (hfQ, hfK) = (Multiply(Values(file, q), x), Multiply(Values(file, k), x));
            for (var head = 0; head < Heads; head++)
            {
                var expected = Dot(Rotate(rawQ, head, 11, i => (2 * i, 2 * i + 1)), Rotate(rawK, 0, 4, i => (2 * i, 2 * i + 1)));
                var actual = Dot(Rotate(hfQ, head, 11, i => (i, i + HeadSize / 2)), Rotate(hfK, 0, 4, i => (i, i + HeadSize / 2)));
                Assert.Equal(expected, actual, 12);
            }
        }
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(0, false)]
    [InlineData(1, true)]
    [InlineData(1, false)]
    public void Tensors_that_are_not_rotated_come_as_stored(int version, bool tied)
    {
        var (bytes, raw) = Model(version, tied);
        using var file = Llama2cFile.Map(folder.Write("m.bin", bytes));
        Assert.Equal(raw.Keys.Order(StringComparer.Ordinal), file.Tensors.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, values) in raw)
        {
            var actual = Values(file, name);
            if (name.Contains("q_proj", StringComparison.Ordinal) || name.Contains("k_proj", StringComparison.Ordinal))
                Assert.Equal(values.Order(), actual.Order());
            else
                Assert.Equal(values, actual);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Version_2_decodes_to_code_times_scale(bool tied)
    {
        var (bytes, _) = Model(1, tied);
        var (quantized, expected) = Quantize(bytes, tied, group: 6);
        using var file = Llama2cFile.Map(folder.Write("q.bin", quantized));
        using var reference = Llama2cFile.Map(folder.Write("f.bin", expected));
        foreach (var name in reference.Tensors.Keys) Assert.Equal(Values(reference, name), Values(file, name));
    }

    [Fact]
    public void Version_2_with_scales_elsewhere_is_refused()
    {
        var (quantized, _) = Quantize(Model(1, true).Bytes, true, group: 6);
        BitConverter.TryWriteBytes(quantized.AsSpan(256 + 4 * (2 * Layers + 1) * Dim + Vocabulary * Dim), -1f);
        using var file = Llama2cFile.Map(folder.Write("q.bin", quantized));
        Assert.Contains("scale", Assert.Throws<ModelFileException>(() =>
            file.Open("model.embed_tokens.weight")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Damage_is_a_file_error()
    {
        var (bytes, _) = Model(0, true);
        var random = new Random(5);
        foreach (var length in Enumerable.Range(0, 40).Append(bytes.Length - 1))
            Assert.Throws<ModelFileException>(() => Llama2cFile.Map(folder.Write("m.bin", bytes[..length])));
        for (var i = 0; i < 28; i++)
        {
            foreach (var value in new[] { 0, 1, 127, 128, 255, random.Next(256) })
            {
                var changed = (byte[])bytes.Clone();
                changed[i] = (byte)value;
                if (changed[i] == bytes[i]) continue;
                Assert.Throws<ModelFileException>(() => Llama2cFile.Map(folder.Write("m.bin", changed)));
            }
        }
    }

    static float[] Values(Llama2cFile source, string name)
    {
        var view = source.Open(name);
        return MemoryMarshal.Cast<byte, float>(view.Bytes(0, (int)view.Info.ByteCount)).ToArray();
    }

    static double[] Multiply(float[] matrix, double[] x) =>
        [.. matrix.Chunk(x.Length).Select(row => row.Zip(x, (w, v) => w * v).Sum())];

    static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();

    static double[] Rotate(double[] vector, int head, int position, Func<int, (int, int)> pair)
    {
        var result = new double[HeadSize];
        for (var i = 0; i < HeadSize / 2; i++)
        {
            var (a, b) = pair(i);
            var (sin, cos) = Math.SinCos(position * Math.Pow(10000, -2.0 * i / HeadSize));
            var (x, y) = (vector[head * HeadSize + a], vector[head * HeadSize + b]);
            (result[a], result[b]) = (x * cos - y * sin, x * sin + y * cos);
        }
        return result;
    }

    /// <summary>A file written by the order in export.py, and its tensors by name.</summary>
    static (byte[] Bytes, Dictionary<string, float[]> Raw) Model(int version, bool tied)
    {
        var random = new Random(9);
        var raw = new Dictionary<string, float[]>();
        var weights = new List<float>();
        void Add(string? name, int count)
        {
            var values = Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() - 0.5)).ToArray();
            if (name is not null) raw.Add(name, values);
            weights.AddRange(values);
        }
        void Layered(string name, int count)
        {
            for (var i = 0; i < Layers; i++) Add($"model.layers.{i}.{name}.weight", count);
        }
        if (version == 0) Add("model.embed_tokens.weight", Vocabulary * Dim);
        Layered("input_layernorm", Dim);
        if (version != 0)
        {
            Layered("post_attention_layernorm", Dim);
            Add("model.norm.weight", Dim);
            Add("model.embed_tokens.weight", Vocabulary * Dim);
        }
        Layered("self_attn.q_proj", Dim * Dim);
        Layered("self_attn.k_proj", HeadSize * KvHeads * Dim);
        Layered("self_attn.v_proj", HeadSize * KvHeads * Dim);
        Layered("self_attn.o_proj", Dim * Dim);
        if (version == 0) Layered("post_attention_layernorm", Dim);
        Layered("mlp.gate_proj", Hidden * Dim);
        Layered("mlp.down_proj", Hidden * Dim);
        Layered("mlp.up_proj", Hidden * Dim);
        if (version == 0)
        {
            Add("model.norm.weight", Dim);
            Add(null, Length * HeadSize);
        }
        if (!tied) Add("lm_head.weight", Vocabulary * Dim);
        return ([.. Header(version, tied, 0), .. MemoryMarshal.AsBytes<float>(weights.ToArray())], raw);
    }

    static byte[] Header(int version, bool tied, int group)
    {
        int[] sizes = [Dim, Hidden, Layers, Heads, KvHeads, version == 0 && !tied ? -Vocabulary : Vocabulary, Length];
        var numbers = MemoryMarshal.AsBytes<int>(sizes).ToArray();
        if (version == 0) return numbers;
        byte[] header = [.. "24ka"u8, .. BitConverter.GetBytes(version), .. numbers, tied ? (byte)1 : (byte)0,
            .. BitConverter.GetBytes(group)];
        return [.. header, .. new byte[256 - header.Length]];
    }

    /// <summary>A version 2 file of a version 1 file's weights, and a version 1 file of what it decodes to.</summary>
    static (byte[] Quantized, byte[] Decoded) Quantize(byte[] version1, bool tied, int group)
    {
        const int Norms = (2 * Layers + 1) * Dim;
        var weights = MemoryMarshal.Cast<byte, float>(version1.AsSpan(256)).ToArray();
        var quantized = new List<byte>([.. Header(2, tied, group), .. MemoryMarshal.AsBytes(weights.AsSpan(0, Norms))]);
        int[] sizes = [Vocabulary * Dim, .. Each(Dim * Dim), .. Each(HeadSize * Dim), .. Each(HeadSize * Dim), .. Each(Dim * Dim),
            .. Each(Hidden * Dim), .. Each(Hidden * Dim), .. Each(Hidden * Dim), .. tied ? Array.Empty<int>() : [Vocabulary * Dim]];
        var at = Norms;
        foreach (var size in sizes)
        {
            var scales = new float[size / group];
            for (var i = 0; i < size; i++)
            {
                if (i % group == 0) scales[i / group] = weights.AsSpan(at + i, group).ToArray().Max(Math.Abs) / 127;
                var code = (sbyte)MathF.Round(weights[at + i] / scales[i / group]);
                quantized.Add((byte)code);
                weights[at + i] = code * scales[i / group];
            }
            quantized.AddRange(MemoryMarshal.AsBytes<float>(scales));
            at += size;
        }
        return ([.. quantized], [.. Header(1, tied, 0), .. MemoryMarshal.AsBytes<float>(weights)]);
    }

    static IEnumerable<int> Each(int size) => Enumerable.Repeat(size, Layers);
}
