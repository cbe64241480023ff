using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Gguf;

/// <summary>Writes a model as GGUF for llama.cpp and this engine: Llama, Mistral, Qwen2 and Qwen3, with shapes that differ from block to block.</summary>
public static class GgufExport
{
    private const int RowsAtOnce = 256;

    private static readonly Dictionary<string, string> Architectures = new(StringComparer.Ordinal)
    {
        ["llama"] = "llama",
        ["mistral"] = "llama",
        ["qwen2"] = "qwen2",
        ["qwen3"] = "qwen3",
    };

    /// <summary>Writes a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="path">The file.</param>
    /// <param name="mixture">What its tensors are stored as.</param>
    /// <param name="written">Told each matrix when it is written, with the type it got.</param>
    /// <exception cref="ModelFileException">GGUF cannot express the model or its tokenizer, or the file cannot be written.</exception>
    public static void Write(ModelFolder model, string path, GgufMixture mixture, Action<string, GgmlType>? written = null)
    {
        var spec = model.Spec;
        if (!Architectures.TryGetValue(spec.Family, out var architecture))
            throw new ModelFileException(model.Path, $"models of type {spec.Family} are not written as GGUF.", $"Written are {string.Join(", ", Architectures.Keys)}.");
        if (spec.Blocks.Any(b => b.Attention is null || b.Mlp is null))
            throw new ModelFileException(model.Path, "a block without attention or MLP cannot be written as GGUF.", "Use the Hugging Face format.");
        var metadata = Metadata(spec, architecture, model.Path, mixture);
        metadata.AddRange(GgufTokenizerKeys.Of(model));
        GgufWriter.Write(path, metadata, [.. Tensors(model, architecture, mixture, written)]);
    }

    private static List<KeyValuePair<string, object>> Metadata(ModelSpec spec, string architecture, string path, GgufMixture mixture)
    {
        var (first, keys) = (spec.Blocks[0].Attention!, new List<KeyValuePair<string, object>>());
        var rotary = first.Rotary ?? throw new ModelFileException(path, "it has no rotary embedding.");
        Add("general.architecture", architecture);
        Add("general.name", Path.GetFileName(Path.TrimEndingDirectorySeparator(path)));
        Add("general.file_type", (uint)mixture.FileType);
        Add("general.quantization_version", 2u);
        Add($"{architecture}.block_count", (uint)spec.Blocks.Length);
        Add($"{architecture}.context_length", (uint)spec.MaxPositions);
        Add($"{architecture}.embedding_length", (uint)spec.HiddenSize);
        Add($"{architecture}.vocab_size", (uint)spec.VocabularySize);
        Add($"{architecture}.feed_forward_length", OneOrAll(spec, b => b.Mlp!.Up.OutFeatures));
        Add($"{architecture}.attention.head_count", OneOrAll(spec, b => b.Attention!.Heads));
        Add($"{architecture}.attention.head_count_kv", OneOrAll(spec, b => b.Attention!.KeyValueHeads));
        Add($"{architecture}.attention.key_length", (uint)first.HeadSize);
        Add($"{architecture}.attention.value_length", (uint)first.HeadSize);
        Add($"{architecture}.attention.layer_norm_rms_epsilon", (float)spec.FinalNorm!.Epsilon);
        Add($"{architecture}.rope.dimension_count", (uint)rotary.Dimensions);
        Add($"{architecture}.rope.freq_base", Base(rotary));
        return keys;

        void Add(string key, object value) => keys.Add(new(key, value));
    }

    private static object OneOrAll(ModelSpec spec, Func<BlockSpec, int> of)
    {
        var values = spec.Blocks.Select(b => (uint)of(b)).ToArray();
        return values.Distinct().Count() == 1 ? values[0] : values;
    }

    /// <summary>θ of <c>θ^(−2i/d)</c>: the first pair turns by 1 whatever θ is, and scaling leaves the second, the fastest but one, alone.</summary>
    private static float Base(RotarySpec rotary) =>
        rotary.InverseFrequencies.Length < 2 ? 10000 : (float)Math.Round(Math.Pow(rotary.InverseFrequencies[1], -rotary.Dimensions / 2.0), 3);

    /// <summary>What divides each plain frequency (Llama 3's scaling); null where nothing does.</summary>
    private static float[]? Factors(RotarySpec rotary)
    {
        var theta = Base(rotary);
        var factors = rotary.InverseFrequencies.Select((f, i) => (float)(Math.Pow(theta, -2.0 * i / rotary.Dimensions) / f)).ToArray();
        return factors.All(f => Math.Abs(f - 1) < 1e-4) ? null : factors;
    }

    private static IEnumerable<GgufTensorSource> Tensors(ModelFolder model, string architecture, GgufMixture mixture, Action<string, GgmlType>? written)
    {
        var spec = model.Spec;
        yield return Matrix(spec.Embedding.Tokens, spec.VocabularySize, spec.HiddenSize, -1, spec.Head.Tied);
        yield return Vector(spec.FinalNorm!.Weight!);
        if (!spec.Head.Tied) yield return Matrix(spec.Head.Linear.Weight.Tensor, spec.VocabularySize, spec.HiddenSize, -1, isHead: true);
        if (Factors(spec.Blocks[0].Attention!.Rotary!) is { } factors)
            yield return new GgufTensorSource("rope_freqs.weight", GgmlType.F32, [factors.Length], s => s.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(factors)));
        for (var i = 0; i < spec.Blocks.Length; i++)
        {
            var (block, attention) = (spec.Blocks[i], spec.Blocks[i].Attention!);
            foreach (var norm in new[] { block.AttentionNorm, block.MlpNorm, attention.QueryNorm, attention.KeyNorm })
            {
                if (norm is not null) yield return Vector(norm.Weight!);
            }
            var interleaved = architecture == "llama";
            foreach (var (linear, heads) in new[] { (attention.Query, attention.Heads), (attention.Key, attention.KeyValueHeads) })
            {
                yield return Matrix(linear.Weight.Tensor, linear.OutFeatures, linear.InFeatures, i, heads: interleaved ? heads : 0);
                if (linear.Bias is { } bias) yield return Vector(bias.Tensor, interleaved ? heads : 0);
            }
            foreach (var linear in new[] { attention.Value, attention.Output, block.Mlp!.Gate!, block.Mlp.Up, block.Mlp.Down })
            {
                yield return Matrix(linear.Weight.Tensor, linear.OutFeatures, linear.InFeatures, i);
                if (linear.Bias is { } bias) yield return Vector(bias.Tensor);
            }
        }

        GgufTensorSource Matrix(string tensor, int rows, int columns, int layer, bool isHead = false, int heads = 0)
        {
            var name = GgufNames.Of(tensor);
            var type = mixture.TypeOf(name, layer, spec.Blocks.Length, columns, isHead);
            return new GgufTensorSource(name, type, [rows, columns], stream =>
            {
                Encode(model.Tensors, tensor, type, rows, columns, heads, stream);
                written?.Invoke(name, type);
            });
        }

        GgufTensorSource Vector(string tensor, int heads = 0)
        {
            var length = (int)model.Tensors.Tensors[tensor].ElementCount;
            return new GgufTensorSource(GgufNames.Of(tensor), GgmlType.F32, [length], stream =>
                Encode(model.Tensors, tensor, GgmlType.F32, length, 1, heads, stream));
        }
    }

    /// <summary>Encodes rows on all cores, some hundred at a time. Where <paramref name="heads"/> is given, pairs of rotated rows become neighbours.</summary>
    private static void Encode(ITensorSource source, string tensor, GgmlType type, int rows, int columns, int heads, Stream stream)
    {
        var view = source.Open(tensor);
        var elementBytes = view.Info.Type.Bits() / 8;
        var rowBytes = checked((int)type.RowBytes(columns));
        var half = heads > 0 ? rows / heads / 2 : 0;
        var stored = new byte[(long)RowsAtOnce * rowBytes];
        for (var first = 0; first < rows; first += RowsAtOnce)
        {
            var count = Math.Min(RowsAtOnce, rows - first);
            Parallel.For(0, count, i =>
            {
                var values = new float[columns];
                ElementConversion.ToSingle(view.Info.Type, view.Bytes((long)Source(first + i) * columns * elementBytes, columns * elementBytes), values);
                GgmlEncoder.Encode(type, values, stored.AsSpan(i * rowBytes, rowBytes));
            });
            stream.Write(stored, 0, count * rowBytes);
        }
        source.Release(tensor);

        // Row 2i of a head is the first of pair i, row 2i + 1 the second, which Hugging Face stores half a head further.
        int Source(int row) => half == 0 ? row : row / (2 * half) * 2 * half + row % 2 * half + row % (2 * half) / 2;
    }
}
