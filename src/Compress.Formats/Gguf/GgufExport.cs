using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Gguf;

/// <summary>Writes a model as GGUF for llama.cpp and this engine: Llama, Mistral, Qwen2 and Qwen3, with shapes that differ from block to block.</summary>
/// <remarks>
/// llama.cpp reads shapes of single blocks, blocks without attention and biases on every projection only for its architecture
/// <c>deci</c> (NVIDIA's pruned Llamas), which otherwise computes what <c>llama</c> does; models that need any of this are written as that.
/// </remarks>
public static class GgufExport
{
    private const int RowsAtOnce = 256;

    private const string Llama = "llama", Qwen2 = "qwen2", Qwen3 = "qwen3", Uneven = "deci";

    private static readonly Dictionary<string, string> Architectures = new(StringComparer.Ordinal)
    {
        ["llama"] = Llama,
        ["mistral"] = Llama,
        ["qwen2"] = Qwen2,
        ["qwen3"] = Qwen3,
    };

    /// <summary>Writes a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="path">The file.</param>
    /// <param name="mixture">What its tensors are stored as.</param>
    /// <param name="written">Told each matrix when it is written, with the type it got.</param>
    /// <exception cref="ModelFileException">GGUF cannot express the model or its tokenizer, or the file cannot be written.</exception>
    public static void Write(ModelFolder model, string path, GgufMixture mixture, Action<string, GgmlType>? written = null) =>
        Write(model, model.Spec, model.Tensors, path, mixture, written);

    /// <summary>Writes what was made of a model.</summary>
    /// <param name="original">The model; gives name and tokenizer.</param>
    /// <param name="spec">What was made of it.</param>
    /// <param name="tensors">Its tensors.</param>
    /// <param name="path">The file.</param>
    /// <param name="mixture">What its tensors are stored as.</param>
    /// <param name="written">Told each matrix when it is written, with the type it got.</param>
    /// <exception cref="ModelFileException">GGUF cannot express the model or its tokenizer, or the file cannot be written.</exception>
    public static void Write(
        ModelFolder original, ModelSpec spec, ITensorSource tensors, string path, GgufMixture mixture, Action<string, GgmlType>? written = null)
    {
        if (Unfit(spec) is { } problem) throw new ModelFileException(original.Path, problem, "Use the Hugging Face format.");
        var architecture = Architecture(spec);
        var metadata = Metadata(spec, architecture, original.Path, mixture);
        metadata.AddRange(GgufTokenizerKeys.Of(original));
        GgufWriter.Write(path, metadata, [.. Tensors(spec, tensors, architecture, mixture, written)]);
    }

    /// <summary>Says why a model cannot be written; null where it can.</summary>
    /// <param name="spec">The model.</param>
    public static string? Unfit(ModelSpec spec)
    {
        if (!Architectures.ContainsKey(spec.Family))
            return $"models of type {spec.Family} are not written as GGUF, only {string.Join(", ", Architectures.Keys)}.";
        if (spec.Blocks.FirstOrDefault(b => b.Mlp is null) is { } bare) return $"{bare.Prefix} has no MLP, which GGUF cannot express.";
        if (spec.Blocks[0].Attention is not { } first) return $"{spec.Blocks[0].Prefix}, the first block, has no attention, which GGUF cannot express.";
        if (first.Rotary is null) return "it has no rotary embedding.";
        return Architecture(spec) == Uneven && spec.Blocks.Any(b => b.Attention?.QueryNorm is not null)
            ? $"{spec.Family} blocks that differ in shape, or with biases, have no place in GGUF: its architecture for such has no norms of queries and keys."
            : null;
    }

    /// <summary>The architecture that has all that a model has.</summary>
    private static string Architecture(ModelSpec spec)
    {
        var usual = Architectures[spec.Family];
        var attention = spec.Blocks[0].Attention!;
        var alike = spec.Blocks.All(b => b.Attention is { } a && (a.Heads, a.KeyValueHeads) == (attention.Heads, attention.KeyValueHeads))
            && spec.Blocks.All(b => b.Mlp!.Up.OutFeatures == spec.Blocks[0].Mlp!.Up.OutFeatures);
        var more = usual switch
        {
            // Its loader takes every bias, and heads of any number and size.
            Llama => false,
            // Queries have the hidden size there, and only q, k and v biases.
            Qwen2 => attention.Heads * attention.HeadSize != spec.HiddenSize || spec.Blocks.Any(b => b.Attention?.Output.Bias is not null || HasBias(b.Mlp!)),
            _ => spec.Blocks.Any(b => b.Attention?.Output.Bias is not null || b.Attention?.Query.Bias is not null || HasBias(b.Mlp!)),
        };
        return alike && !more ? usual : Uneven;
    }

    private static bool HasBias(MlpSpec mlp) => mlp.Up.Bias is not null || mlp.Down.Bias is not null || mlp.Gate?.Bias is not null;

    private static List<KeyValuePair<string, object>> Metadata(ModelSpec spec, string architecture, string path, GgufMixture mixture)
    {
        var (first, keys) = (spec.Blocks[0].Attention!, new List<KeyValuePair<string, object>>());
        var rotary = first.Rotary!;
        Add("general.architecture", architecture);
        Add("general.name", Path.GetFileName(Path.TrimEndingDirectorySeparator(path)));
        Add("general.file_type", (uint)mixture.FileType);
        Add("general.quantization_version", 2u);
        Add($"{architecture}.block_count", (uint)spec.Blocks.Length);
        Add($"{architecture}.context_length", (uint)spec.MaxPositions);
        Add($"{architecture}.embedding_length", (uint)spec.HiddenSize);
        Add($"{architecture}.vocab_size", (uint)spec.VocabularySize);
        Add($"{architecture}.feed_forward_length", OneOrAll(spec, b => b.Mlp!.Up.OutFeatures));
        Add($"{architecture}.attention.head_count", OneOrAll(spec, b => b.Attention?.Heads ?? 0));
        Add($"{architecture}.attention.head_count_kv", OneOrAll(spec, b => b.Attention?.KeyValueHeads ?? 0));
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

    private static IEnumerable<GgufTensorSource> Tensors(
        ModelSpec spec, ITensorSource source, string architecture, GgufMixture mixture, Action<string, GgmlType>? written)
    {
        yield return Matrix(spec.Embedding.Tokens, spec.VocabularySize, spec.HiddenSize, -1, spec.Head.Tied);
        yield return Vector(spec.FinalNorm!.Weight!);
        if (!spec.Head.Tied) yield return Matrix(spec.Head.Linear.Weight.Tensor, spec.VocabularySize, spec.HiddenSize, -1, isHead: true);
        if (Factors(spec.Blocks[0].Attention!.Rotary!) is { } factors)
            yield return new GgufTensorSource("rope_freqs.weight", GgmlType.F32, [factors.Length], s => s.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(factors)));
        for (var i = 0; i < spec.Blocks.Length; i++)
        {
            var (block, attention) = (spec.Blocks[i], spec.Blocks[i].Attention);
            foreach (var norm in new[] { block.AttentionNorm, block.MlpNorm, attention?.QueryNorm, attention?.KeyNorm })
            {
                if (norm is not null) yield return Vector(norm.Weight!);
            }
            var interleaved = architecture is Llama or Uneven;
            (LinearSpec, int)[] linears = attention is null ? [] :
            [
                (attention.Query, interleaved ? attention.Heads : 0), (attention.Key, interleaved ? attention.KeyValueHeads : 0),
                (attention.Value, 0), (attention.Output, 0),
            ];
            foreach (var (linear, heads) in linears.Concat([(block.Mlp!.Gate!, 0), (block.Mlp.Up, 0), (block.Mlp.Down, 0)]))
            {
                yield return Matrix(linear.Weight.Tensor, linear.OutFeatures, linear.InFeatures, i, heads: heads);
                if (linear.Bias is { } bias) yield return Vector(bias.Tensor, heads);
            }
        }

        GgufTensorSource Matrix(string tensor, int rows, int columns, int layer, bool isHead = false, int heads = 0)
        {
            var name = GgufNames.Of(tensor);
            var type = mixture.TypeOf(name, layer, spec.Blocks.Length, columns, isHead);
            return new GgufTensorSource(name, type, [rows, columns], stream =>
            {
                Encode(source, tensor, type, rows, columns, heads, stream);
                written?.Invoke(name, type);
            });
        }

        GgufTensorSource Vector(string tensor, int heads = 0)
        {
            var length = (int)source.Tensors[tensor].ElementCount;
            return new GgufTensorSource(GgufNames.Of(tensor), GgmlType.F32, [length], stream =>
                Encode(source, tensor, GgmlType.F32, length, 1, heads, stream));
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
