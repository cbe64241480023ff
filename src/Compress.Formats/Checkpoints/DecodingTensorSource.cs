using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Compress.Formats.Encodings;
using Compress.Formats.Encodings.Packed;

namespace Compress.Formats.Checkpoints;

/// <summary>
/// A quantized checkpoint as a dense one: the parts of each quantized weight are replaced by one F32 tensor <c>NAME.weight</c>, decoded
/// exactly when it is opened; everything else passes through. Reads compressed-tensors (pack-quantized, int-quantized, sparse-24-bitmask), GPTQ,
/// AWQ (GEMM) and Compress's own format (<see cref="EncodedFormat"/>), of which sparse floats keep their element type.
/// </summary>
/// <remarks>Decoded tensors are kept only up to some hundred MiB: copy one before opening many others.</remarks>
public sealed class DecodingTensorSource : ITensorSource
{
    const int MaximumGroupSize = 1 << 24;

    readonly ITensorSource source;
    readonly string file;
    readonly DecodedTensors decoded = new();
    readonly OrderedDictionary<string, TensorInfo> tensors = new(StringComparer.Ordinal);
    readonly Dictionary<string, Func<EncodedWeight>> encoded = new(StringComparer.Ordinal);
    readonly Dictionary<string, string> summaries = new(StringComparer.Ordinal);

    /// <summary>The stored tensors behind each decoded one.</summary>
    readonly Dictionary<string, List<string>> stored = new(StringComparer.Ordinal);

    DecodingTensorSource(ITensorSource source, string file)
    {
        this.source = source;
        this.file = file;
    }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorInfo> Tensors => tensors;

    /// <summary>Whether a checkpoint with this <c>quantization_config</c> can be read.</summary>
    /// <param name="config">The value of <c>quantization_config</c>.</param>
    public static bool Reads(JsonElement config) =>
        config.ValueKind == JsonValueKind.Object && config.TryGetProperty("quant_method", out var method)
        && method.ValueKind == JsonValueKind.String && method.GetString() is "compressed-tensors" or "gptq" or "awq" or EncodedConfig.Method;

    /// <summary>Wraps a quantized checkpoint, which is disposed with the wrapper.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="config">Its <c>quantization_config</c>; <see cref="Reads"/>.</param>
    /// <param name="file">The file that the configuration is from, for messages.</param>
    /// <exception cref="ModelFileException">The configuration is malformed, or a weight's parts are missing or misshapen.</exception>
    public static DecodingTensorSource Wrap(ITensorSource source, JsonElement config, string file)
    {
        var result = new DecodingTensorSource(source, file);
        var reader = new QuantizationConfigReader(config, file);
        switch (reader.String("quant_method"))
        {
            case "gptq":
                result.AddGptq(reader);
                break;
            case "awq":
                result.AddAwq(reader);
                break;
            case EncodedConfig.Method:
                result.AddOwn(EncodedConfig.Read(reader));
                break;
            default:
                result.AddCompressedTensors(CompressedTensorsConfig.Read(config, file));
                break;
        }
        return result;
    }

    /// <summary>Whether a tensor is stored encoded.</summary>
    /// <param name="name">The dense name, with <c>.weight</c>.</param>
    public bool IsEncoded(string name) => encoded.ContainsKey(name);

    /// <summary>How a weight is encoded, in words, from headers alone; null for a tensor that is stored as it is.</summary>
    /// <param name="name">The dense name, with <c>.weight</c>.</param>
    public string? SummaryOf(string name) => summaries.GetValueOrDefault(name);

    /// <summary>Bytes of the tensors that stand for a weight, or of the tensor that is stored as it is.</summary>
    /// <param name="name">The dense name, with <c>.weight</c>.</param>
    public long StoredBytes(string name) => stored.TryGetValue(name, out var parts) ? parts.Sum(p => source.Tensors[p].ByteCount) : tensors[name].ByteCount;

    /// <summary>A weight as it is encoded; null for a tensor that is stored as it is.</summary>
    /// <param name="name">The dense name, with <c>.weight</c>.</param>
    /// <exception cref="ModelFileException">A part is damaged.</exception>
    public EncodedWeight? ReadEncoded(string name) => encoded.TryGetValue(name, out var read) ? read() : null;

    /// <inheritdoc/>
    public TensorView Open(string name)
    {
        if (!encoded.TryGetValue(name, out var read))
            return tensors.ContainsKey(name) ? source.Open(name) : throw MissingTensor.In(file, name, tensors);
        return decoded.Open(tensors[name], memory =>
        {
            var weight = read();
            var (type, size) = (tensors[name].Type, weight.Columns * tensors[name].Type.Bits() / 8);
            if (type == ElementType.F32)
            {
                Parallel.For(0, weight.Rows, row => weight.DecodeRow(row, MemoryMarshal.Cast<byte, float>(memory.Bytes((long)row * size, size))));
                return;
            }
            Parallel.For(0, weight.Rows, () => new float[weight.Columns], (row, _, line) =>
            {
                weight.DecodeRow(row, line);
                ElementConversion.FromSingle(type, line, memory.Bytes((long)row * size, size));
                return line;
            }, _ => { });
        });
    }

    /// <inheritdoc/>
    public void Release(string name)
    {
        decoded.Release(name);
        if (!stored.TryGetValue(name, out var parts))
        {
            source.Release(name);
            return;
        }
        foreach (var part in parts) source.Release(part);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        decoded.Dispose();
        source.Dispose();
    }

    void AddCompressedTensors(CompressedTensorsConfig config)
    {
        switch (config.Format)
        {
            case CompressedTensorsConfig.Dense:
                Add(Sparse24Format.ValuePart, Sparse24Format.Parts, module =>
                {
                    var (rows, columns, type) = Sparse24Format.Shape(source, file, module);
                    return new Found(rows, columns, type, $"2:4 of {type.SafetensorsName()}", () => Sparse24Format.Read(source, file, module));
                });
                break;
            case CompressedTensorsConfig.IntQuantized:
                Add(IntQuantized.ScalePart, IntQuantized.Parts, module =>
                {
                    var scheme = Scheme(module);
                    return Found.Integers(IntQuantized.Shape(source, file, module), scheme.Bits, () => IntQuantized.Read(source, file, module, scheme));
                });
                break;
            default:
                Add(CompressedTensors.PackedPart, CompressedTensors.Parts, module =>
                {
                    var scheme = Scheme(module);
                    return Found.Integers(
                        CompressedTensors.Shape(source, file, module, scheme.Bits), scheme.Bits, () => CompressedTensors.Read(source, file, module, scheme));
                });
                break;
        }

        QuantizationScheme Scheme(string module) => config.SchemeOf(module) ?? throw new ModelFileException(
            file, $"quantization_config does not say how \"{Suggestion.Shorten(module)}\" is quantized, but its weight is packed.");
    }

    void AddGptq(QuantizationConfigReader config)
    {
        var bits = config.Integer("bits", 2, 8);
        var size = GroupSize(config);
        var format = config.OptionalString("checkpoint_format") ?? "gptq";
        if (format is not ("gptq" or "gptq_v2"))
            throw config.Wrong("checkpoint_format", $"is \"{Suggestion.Shorten(format)}\"; gptq and gptq_v2 are read.");
        Add(GptqFormat.PackedPart, GptqFormat.Parts, module => Found.Integers(
            GptqFormat.Shape(source, file, module, bits),
            bits,
            () => GptqFormat.Read(source, file, module, bits, size, format == "gptq" ? 1 : 2)));
    }

    void AddAwq(QuantizationConfigReader config)
    {
        config.Integer("bits", 4, 4);
        var size = GroupSize(config);
        var layout = config.OptionalString("version") ?? "gemm";
        if (!layout.Equals("gemm", StringComparison.OrdinalIgnoreCase))
            throw config.Wrong("version", $"is \"{Suggestion.Shorten(layout)}\"; gemm is read.");
        Add(AwqFormat.PackedPart, AwqFormat.Parts, module => Found.Integers(
            AwqFormat.Shape(source, file, module),
            4,
            () => AwqFormat.Read(source, file, module, size)));
    }

    /// <summary>Both formats write −1 for one group a row.</summary>
    static int? GroupSize(QuantizationConfigReader config) => config.Integer("group_size", -1, MaximumGroupSize) switch
    {
        0 => throw config.Wrong("group_size", "is 0."),
        < 0 => null,
        var size => size,
    };

    /// <summary>A weight that stored parts stand for, from headers.</summary>
    /// <param name="Rows">Output features.</param>
    /// <param name="Columns">Input features.</param>
    /// <param name="Type">What it decodes to without loss.</param>
    /// <param name="Summary">Its encoding in words.</param>
    /// <param name="Read">Reads it.</param>
    sealed record Found(int Rows, int Columns, ElementType Type, string Summary, Func<EncodedWeight> Read)
    {
        public static Found Integers((int Rows, int Columns) shape, int bits, Func<EncodedWeight> read) =>
            new(shape.Rows, shape.Columns, ElementType.F32, string.Create(CultureInfo.InvariantCulture, $"{bits}-bit integers"), read);
    }

    /// <summary>Lists the tensors, with one dense weight in place of the parts of each module that has <paramref
    /// name="packedPart"/>.</summary>
    void Add(string packedPart, IReadOnlyList<string> parts, Func<string, Found> open)
    {
        var suffix = "." + packedPart;
        var modules = source.Tensors.Keys.Where(n => n.EndsWith(suffix, StringComparison.Ordinal))
            .Select(n => n[..^suffix.Length]).ToHashSet(StringComparer.Ordinal);
        foreach (var (name, info) in source.Tensors)
        {
            var dot = name.LastIndexOf('.');
            if (dot < 0 || !modules.Contains(name[..dot]) || !parts.Contains(name[(dot + 1)..]))
            {
                if (!tensors.TryAdd(name, info))
                    throw new ModelFileException(file, $"tensor \"{Suggestion.Shorten(name)}\" is stored packed and dense.");
                continue;
            }
            var weight = $"{name[..dot]}.weight";
            if (!stored.TryGetValue(weight, out var behind)) stored.Add(weight, behind = []);
            behind.Add(name);
            if (name[(dot + 1)..] != packedPart) continue;
            var found = open(name[..dot]);
            var dense = TensorInfo.Of(weight, found.Type, found.Rows, found.Columns);
            if (!tensors.TryAdd(dense.Name, dense))
                throw new ModelFileException(file, $"tensor \"{Suggestion.Shorten(dense.Name)}\" is stored packed and dense.");
            encoded.Add(dense.Name, found.Read);
            summaries.Add(dense.Name, found.Summary);
        }
    }

    /// <summary>Lists the tensors, with one weight in place of the parts of each that the configuration names.</summary>
    void AddOwn(IReadOnlyDictionary<string, EncodedConfig.Entry> weights)
    {
        foreach (var (name, info) in source.Tensors)
        {
            if (WeightOf(name, weights) is not { } weight)
            {
                if (weights.ContainsKey(name)) throw new ModelFileException(file, $"tensor \"{Suggestion.Shorten(name)}\" is stored encoded and dense.");
                tensors.Add(name, info);
                continue;
            }
            if (stored.TryGetValue(weight, out var behind))
            {
                behind.Add(name);
                continue;
            }
            stored.Add(weight, [name]);
            var (rows, columns, encoding) = weights[weight];
            tensors.Add(weight, TensorInfo.Of(weight, EncodedFormat.DecodedType(source, file, weight, encoding), rows, columns));
            summaries.Add(weight, EncodedFormat.Summary(source, file, weight, encoding));
            encoded.Add(weight, () => EncodedFormat.Read(source, file, weight, encoding, rows, columns));
        }
        if (weights.Keys.FirstOrDefault(w => !stored.ContainsKey(w)) is { } missing)
            throw new ModelFileException(file, $"quantization_config lists \"{Suggestion.Shorten(missing)}\", of which nothing is stored.");
    }

    /// <summary>The weight that a tensor is a part of: its name up to some dot.</summary>
    static string? WeightOf(string name, IReadOnlyDictionary<string, EncodedConfig.Entry> weights)
    {
        for (var dot = name.LastIndexOf('.'); dot > 0; dot = name.LastIndexOf('.', dot - 1))
        {
            if (weights.ContainsKey(name[..dot])) return name[..dot];
        }
        return null;
    }
}
