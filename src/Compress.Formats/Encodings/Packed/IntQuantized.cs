using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Encodings.Packed;

/// <summary>
/// The int-quantized layout of compressed-tensors: <c>weight</c> I8 <c>[out, in]</c> with codes less 128, <c>weight_scale</c> <c>[out,
/// groups]</c>, with zero points <c>weight_zero_point</c> I8 <c>[out, groups]</c> less 128, with activation order <c>weight_g_idx</c> I32
/// <c>[in]</c>.
/// </summary>
public sealed class IntQuantized : PackedFormat
{
    /// <summary>The part whose presence marks a module as quantized: the weight itself has a dense one's name.</summary>
    internal const string ScalePart = "weight_scale";

    const string WeightPart = "weight", ZeroPart = "weight_zero_point", IndexPart = "weight_g_idx";
    const int Bits = 8;

    /// <summary>All parts of a quantized weight.</summary>
    internal static IReadOnlyList<string> Parts { get; } = [WeightPart, ScalePart, ZeroPart, IndexPart];

    /// <inheritdoc/>
    public override string Name => "compressed-tensors";

    /// <inheritdoc/>
    public override string Type => CompressedTensorsConfig.IntQuantized;

    /// <inheritdoc/>
    public override bool HalfScales => false;

    /// <inheritdoc/>
    public override string? Unfit(int rows, int columns, QuantizationScheme scheme) =>
        scheme.Bits == Bits ? CompressedTensors.Unfit(columns, scheme) : $"int-quantized stores {Bits} bits, not {scheme.Bits}.";

    /// <inheritdoc/>
    public override IReadOnlyList<TensorInfo> Describe(string name, int rows, int columns, QuantizationScheme scheme)
    {
        var groups = scheme.Groups(columns);
        var tensors = new List<TensorInfo>
        {
            TensorInfo.Of($"{name}.{WeightPart}", ElementType.I8, rows, columns),
            TensorInfo.Of($"{name}.{ScalePart}", scheme.ScaleType, rows, groups),
        };
        if (!scheme.Symmetric) tensors.Add(TensorInfo.Of($"{name}.{ZeroPart}", ElementType.I8, rows, groups));
        if (scheme.ActivationOrder) tensors.Add(TensorInfo.Of($"{name}.{IndexPart}", ElementType.I32, columns));
        return tensors;
    }

    /// <inheritdoc/>
    public override IReadOnlyList<PackedTensor> Pack(string name, GroupQuantizedWeight weight)
    {
        var scheme = QuantizationScheme.Of(weight);
        if (Unfit(weight.Rows, weight.Columns, scheme) is { } reason) throw new ArgumentException(reason, nameof(weight));
        var scales = new byte[weight.Scales.Length * weight.ScaleType.Bits() / 8];
        ElementConversion.FromSingle(weight.ScaleType, weight.Scales, scales);
        // Less 128 in a byte is the other highest bit.
        var parts = new List<byte[]> { Array.ConvertAll(weight.Codes, c => (byte)(c ^ 128)), scales };
        if (!weight.Symmetric)
        {
            if (Array.FindIndex(weight.Zeros, z => z is < 0 or > 255) is >= 0 and var at)
                throw new ArgumentException($"int-quantized has no zero point {weight.Zeros[at]}", nameof(weight));
            parts.Add(Array.ConvertAll(weight.Zeros, z => (byte)(z ^ 128)));
        }
        if (weight.GroupIndex is { } index) parts.Add(MemoryMarshal.AsBytes<int>(index).ToArray());
        return [.. Describe(name, weight.Rows, weight.Columns, scheme).Zip(parts, (info, bytes) => new PackedTensor(info, bytes))];
    }

    /// <inheritdoc/>
    public override JsonObject Config(IReadOnlyList<PackedModule> modules) =>
        CompressedTensorsConfig.For(modules.ToDictionary(m => m.Name, m => m.Scheme, StringComparer.Ordinal), Type).ToJson();

    /// <summary>Reads a weight back.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="file">Its path, for messages.</param>
    /// <param name="name">Name without <c>.weight</c>.</param>
    /// <param name="scheme">Bits, of which fewer than 8 may be used, group size and symmetry from the configuration.</param>
    /// <exception cref="ModelFileException">A part is missing, or its type, shape or values do not fit.</exception>
    public static GroupQuantizedWeight Read(ITensorSource source, string file, string name, QuantizationScheme scheme)
    {
        var parts = new StoredParts(source, file, name);
        var (rows, columns) = Shape(source, file, name);
        var groups = scheme.Groups(columns);
        var (scales, scaleType) = parts.Scales(ScalePart, rows, groups);
        var (middle, zeros) = (1 << (scheme.Bits - 1), new int[rows * groups]);
        if (scheme.Symmetric)
        {
            Array.Fill(zeros, middle);
        }
        else
        {
            var stored = parts.Raw(ZeroPart, ElementType.I8, rows, groups);
            for (var i = 0; i < zeros.Length; i++) zeros[i] = Code(ZeroPart, stored[i]);
        }
        var codes = Array.ConvertAll(parts.Raw(WeightPart, ElementType.I8, rows, columns), c => Code(WeightPart, c));
        int[]? index = null;
        if (parts.Has(IndexPart))
        {
            index = parts.Integers(IndexPart, columns);
            if (Array.Exists(index, g => g < 0 || g >= groups)) throw parts.Wrong(IndexPart, $"names a group outside 0 … {groups - 1}.");
        }
        return new GroupQuantizedWeight
        {
            Rows = rows,
            Columns = columns,
            Bits = scheme.Bits,
            GroupSize = scheme.GroupSize ?? columns,
            Symmetric = scheme.Symmetric,
            Codes = codes,
            Scales = scales,
            ScaleType = scaleType,
            Zeros = zeros,
            GroupIndex = index,
        };

        byte Code(string part, byte stored) => (sbyte)stored + middle is var code && code >> scheme.Bits == 0
            ? (byte)code
            : throw parts.Wrong(part, $"holds {(sbyte)stored}, which {scheme.Bits} bits do not.");
    }

    /// <summary>Output and input features.</summary>
    internal static (int Rows, int Columns) Shape(ITensorSource source, string file, string name)
    {
        var parts = new StoredParts(source, file, name);
        var (rows, columns) = parts.Matrix(WeightPart);
        return columns > 0 && (long)rows * columns <= Array.MaxLength ? (rows, columns) : throw parts.Wrong(WeightPart, $"has the shape [{rows}, {columns}].");
    }
}
