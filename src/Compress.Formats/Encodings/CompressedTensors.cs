using System.Runtime.InteropServices;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Encodings;

/// <summary>
/// The pack-quantized format of compressed-tensors (https://github.com/vllm-project/compressed-tensors, compressors/pack_quantized).
/// A module's weight is stored as <c>weight_packed</c> I32 <c>[out, words]</c>, <c>weight_scale</c> <c>[out, groups]</c>,
/// <c>weight_shape</c> I64 <c>[2]</c>, with zero points <c>weight_zero_point</c> I32 <c>[words of out, groups]</c> and with activation
/// order <c>weight_g_idx</c> I32 <c>[in]</c>. Stored codes and zero points are unsigned, as in <see cref="GroupQuantizedWeight"/>.
/// </summary>
/// <remarks>Widths that do not divide 32 use the dense layout of versions since 2026; older versions read 2, 4 and 8 bits only.</remarks>
public static class CompressedTensors
{
    /// <summary>The part whose presence marks a module as quantized.</summary>
    internal const string PackedPart = "weight_packed";

    const string ScalePart = "weight_scale", ShapePart = "weight_shape", ZeroPart = "weight_zero_point", IndexPart = "weight_g_idx";

    /// <summary>All parts of a quantized weight.</summary>
    internal static IReadOnlyList<string> Parts { get; } = [PackedPart, ScalePart, ShapePart, ZeroPart, IndexPart];

    /// <summary>Says why a weight of this shape and scheme cannot be stored; null where it can.</summary>
    /// <param name="columns">Input features.</param>
    /// <param name="scheme">The scheme.</param>
    public static string? Unfit(int columns, QuantizationScheme scheme)
    {
        if (scheme.Bits is < 2 or > 8) return $"compressed-tensors stores 2 to 8 bits, not {scheme.Bits}.";
        if (scheme.ZeroFraction > 0) return "compressed-tensors stores whole zero points, and these have fractions.";
        return scheme.GroupSize is { } size && columns % size != 0
            ? $"compressed-tensors needs groups that divide the {columns} columns; {size} does not."
            : null;
    }

    /// <summary>The tensors of a weight, to be declared before their values are known; their byte counts are what the weight
    /// costs.</summary>
    /// <param name="module">Name without <c>.weight</c>.</param>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    /// <param name="scheme">The scheme.</param>
    public static IReadOnlyList<TensorInfo> Describe(string module, int rows, int columns, QuantizationScheme scheme)
    {
        var groups = scheme.Groups(columns);
        var tensors = new List<TensorInfo>
        {
            TensorInfo.Of($"{module}.{PackedPart}", ElementType.I32, rows, BitPacking.Words(columns, scheme.Bits)),
            TensorInfo.Of($"{module}.{ScalePart}", scheme.ScaleType, rows, groups),
            TensorInfo.Of($"{module}.{ShapePart}", ElementType.I64, 2),
        };
        if (!scheme.Symmetric)
            tensors.Add(TensorInfo.Of($"{module}.{ZeroPart}", ElementType.I32, BitPacking.Words(rows, scheme.Bits), groups));
        if (scheme.ActivationOrder) tensors.Add(TensorInfo.Of($"{module}.{IndexPart}", ElementType.I32, columns));
        return tensors;
    }

    /// <summary>Packs a weight.</summary>
    /// <param name="module">Name without <c>.weight</c>.</param>
    /// <param name="weight">The weight; zero points below 2^bits.</param>
    /// <returns>The tensors that <see cref="Describe"/> announces, in its order.</returns>
    /// <exception cref="ArgumentException">The weight cannot be stored, see <see cref="Unfit"/>.</exception>
    public static IReadOnlyList<PackedTensor> Pack(string module, GroupQuantizedWeight weight)
    {
        var scheme = QuantizationScheme.Of(weight);
        if (Unfit(weight.Columns, scheme) is { } reason) throw new ArgumentException(reason, nameof(weight));
        var words = BitPacking.Words(weight.Columns, weight.Bits);
        var packed = new uint[weight.Rows * words];
        Parallel.For(0, weight.Rows, row => BitPacking.Pack(
            weight.Codes.AsSpan(row * weight.Columns, weight.Columns), weight.Bits, packed.AsSpan(row * words, words)));
        var scales = new byte[weight.Scales.Length * weight.ScaleType.Bits() / 8];
        ElementConversion.FromSingle(weight.ScaleType, weight.Scales, scales);
        var parts = new List<byte[]>
        {
            MemoryMarshal.AsBytes<uint>(packed).ToArray(),
            scales,
            MemoryMarshal.AsBytes<long>([weight.Rows, weight.Columns]).ToArray(),
        };
        if (!weight.Symmetric)
        {
            var zeros = weight.Zeros.Select(z => z >= 0 && z < 1 << weight.Bits
                ? (byte)z
                : throw new ArgumentException($"compressed-tensors has no zero point {z} at {weight.Bits} bits", nameof(weight))).ToArray();
            parts.Add(MemoryMarshal.AsBytes<uint>(BitPacking.PackColumns(zeros, weight.Rows, weight.Groups, weight.Bits)).ToArray());
        }
        if (weight.GroupIndex is { } index) parts.Add(MemoryMarshal.AsBytes<int>(index).ToArray());
        return [.. Describe(module, weight.Rows, weight.Columns, scheme).Zip(parts, (info, bytes) => new PackedTensor(info, bytes))];
    }

    /// <summary>Reads a weight back.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="file">Its path, for messages.</param>
    /// <param name="module">Name without <c>.weight</c>.</param>
    /// <param name="scheme">Bits, group size and symmetry from the configuration; the other members do not matter.</param>
    /// <exception cref="ModelFileException">A part is missing, or its type, shape or values do not fit.</exception>
    public static GroupQuantizedWeight Read(ITensorSource source, string file, string module, QuantizationScheme scheme)
    {
        var parts = new StoredParts(source, file, module);
        var (rows, columns) = Shape(parts, scheme.Bits);
        var words = BitPacking.Words(columns, scheme.Bits);
        var packed = parts.Words(PackedPart, rows, words);
        var groups = scheme.Groups(columns);
        var (scales, scaleType) = parts.Scales(ScalePart, rows, groups);
        var codes = new byte[rows * columns];
        Parallel.For(0, rows, row =>
            BitPacking.Unpack(packed.AsSpan(row * words, words), scheme.Bits, codes.AsSpan(row * columns, columns)));
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
            Zeros = Zeros(parts, rows, groups, scheme),
            GroupIndex = index,
        };
    }

    /// <summary>Output and input features, which the packed words must be able to hold.</summary>
    internal static (int Rows, int Columns) Shape(ITensorSource source, string file, string module, int bits) =>
        Shape(new StoredParts(source, file, module), bits);

    static (int Rows, int Columns) Shape(StoredParts parts, int bits)
    {
        var (rows, words) = parts.Matrix(PackedPart);
        if (parts.Longs(ShapePart, 2) is not [var r, > 0 and <= int.MaxValue and var c] || r != rows || c * rows > Array.MaxLength)
            throw parts.Wrong(ShapePart, $"does not belong to {rows} packed rows.");
        return BitPacking.Words((int)c, bits) == words
            ? (rows, (int)c)
            : throw parts.Wrong(PackedPart, $"has {words} words a row; {c} columns of {bits} bits take {BitPacking.Words((int)c, bits)}.");
    }

    static int[] Zeros(StoredParts parts, int rows, int groups, QuantizationScheme scheme)
    {
        var zeros = new int[rows * groups];
        if (scheme.Symmetric)
        {
            Array.Fill(zeros, 1 << (scheme.Bits - 1));
            return zeros;
        }
        var packed = parts.Words(ZeroPart, BitPacking.Words(rows, scheme.Bits), groups);
        var codes = BitPacking.UnpackColumns(packed, rows, groups, scheme.Bits);
        for (var i = 0; i < zeros.Length; i++) zeros[i] = codes[i];
        return zeros;
    }
}
