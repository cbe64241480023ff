using System.Runtime.InteropServices;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Encodings;

/// <summary>
/// The checkpoint format of AutoGPTQ and GPTQModel: <c>qweight</c> I32 <c>[words of in, out]</c>, <c>qzeros</c> I32
/// <c>[groups, words of out]</c>, <c>scales</c> F16 <c>[groups, out]</c>, <c>g_idx</c> I32 <c>[in]</c>; 2, 3, 4 or 8 bits.
/// </summary>
/// <remarks>
/// Version 1 stores zero points less one, within their bits, so 0 becomes all ones; reading masks the sum, as present readers do.
/// Version 2 stores them as they are.
/// </remarks>
public static class GptqFormat
{
    /// <summary>The part whose presence marks a module as quantized.</summary>
    internal const string PackedPart = "qweight";

    const string ZeroPart = "qzeros", ScalePart = "scales", IndexPart = "g_idx";

    /// <summary>All parts of a quantized weight.</summary>
    internal static IReadOnlyList<string> Parts { get; } = [PackedPart, ZeroPart, ScalePart, IndexPart];

    /// <summary>Says why a weight cannot be stored; null where it can.</summary>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    /// <param name="bits">Bits of a code.</param>
    public static string? Unfit(int rows, int columns, int bits) =>
        bits is not (2 or 3 or 4 or 8) ? $"GPTQ checkpoints have 2, 3, 4 or 8 bits, not {bits}."
        : rows % 32 != 0 || columns % 32 != 0 ? $"GPTQ checkpoints need rows and columns in multiples of 32, not {rows} and {columns}."
        : null;

    /// <summary>The tensors of a weight, to be declared before their values are known.</summary>
    /// <param name="module">Name without <c>.weight</c>.</param>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    /// <param name="scheme">The scheme.</param>
    public static IReadOnlyList<TensorInfo> Describe(string module, int rows, int columns, QuantizationScheme scheme)
    {
        var groups = scheme.Groups(columns);
        return
        [
            TensorInfo.Of($"{module}.{PackedPart}", ElementType.I32, BitPacking.Words(columns, scheme.Bits), rows),
            TensorInfo.Of($"{module}.{ZeroPart}", ElementType.I32, groups, BitPacking.Words(rows, scheme.Bits)),
            TensorInfo.Of($"{module}.{ScalePart}", scheme.ScaleType, groups, rows),
            TensorInfo.Of($"{module}.{IndexPart}", ElementType.I32, columns),
        ];
    }

    /// <summary>Packs a weight.</summary>
    /// <param name="module">Name without <c>.weight</c>.</param>
    /// <param name="weight">The weight; whole zero points below 2^bits.</param>
    /// <param name="version">1 or 2.</param>
    /// <returns>The tensors that <see cref="Describe"/> announces, in its order.</returns>
    /// <exception cref="ArgumentException">The weight cannot be stored, see <see cref="Unfit"/>.</exception>
    public static IReadOnlyList<PackedTensor> Pack(string module, GroupQuantizedWeight weight, int version)
    {
        var (rows, columns, bits, groups) = (weight.Rows, weight.Columns, weight.Bits, weight.Groups);
        if (Unfit(rows, columns, bits) is { } reason) throw new ArgumentException(reason, nameof(weight));
        if (weight.ZeroFraction > 0) throw new ArgumentException("GPTQ checkpoints have whole zero points", nameof(weight));
        var words = BitPacking.Words(columns, bits);
        var packed = new uint[words * rows];
        var line = new uint[words];
        for (var row = 0; row < rows; row++)
        {
            BitPacking.Pack(weight.Codes.AsSpan(row * columns, columns), bits, line);
            for (var w = 0; w < words; w++) packed[w * rows + row] = line[w];
        }
        var (zeros, zeroWords) = (new byte[rows], BitPacking.Words(rows, bits));
        var packedZeros = new uint[groups * zeroWords];
        var scales = new float[groups * rows];
        for (var g = 0; g < groups; g++)
        {
            for (var row = 0; row < rows; row++)
            {
                scales[g * rows + row] = weight.Scales[row * groups + g];
                zeros[row] = Stored(weight.Zeros[row * groups + g], bits, version);
            }
            BitPacking.Pack(zeros, bits, packedZeros.AsSpan(g * zeroWords, zeroWords));
        }
        var scaleBytes = new byte[scales.Length * weight.ScaleType.Bits() / 8];
        ElementConversion.FromSingle(weight.ScaleType, scales, scaleBytes);
        var index = weight.GroupIndex ?? [.. Enumerable.Range(0, columns).Select(c => c / weight.GroupSize)];
        byte[][] parts =
        [
            MemoryMarshal.AsBytes<uint>(packed).ToArray(),
            MemoryMarshal.AsBytes<uint>(packedZeros).ToArray(),
            scaleBytes,
            MemoryMarshal.AsBytes<int>(index).ToArray(),
        ];
        return [.. Describe(module, rows, columns, QuantizationScheme.Of(weight)).Zip(parts, (info, bytes) => new PackedTensor(info, bytes))];
    }

    /// <summary>Reads a weight back.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="file">Its path, for messages.</param>
    /// <param name="module">Name without <c>.weight</c>.</param>
    /// <param name="bits">Bits of a code.</param>
    /// <param name="groupSize">Columns of a group; null for one group a row.</param>
    /// <param name="version">1 or 2.</param>
    /// <exception cref="ModelFileException">A part is missing, or its type, shape or values do not fit.</exception>
    public static GroupQuantizedWeight Read(ITensorSource source, string file, string module, int bits, int? groupSize, int version)
    {
        var parts = new StoredParts(source, file, module);
        var (rows, columns) = Shape(parts, bits);
        var size = groupSize ?? columns;
        var groups = (int)(((long)columns + size - 1) / size);
        var packed = parts.Words(PackedPart, BitPacking.Words(columns, bits), rows);
        var zeroWords = BitPacking.Words(rows, bits);
        var packedZeros = parts.Words(ZeroPart, groups, zeroWords);
        var (storedScales, scaleType) = parts.Scales(ScalePart, groups, rows);
        var (scales, zeros, line) = (new float[rows * groups], new int[rows * groups], new byte[rows]);
        for (var g = 0; g < groups; g++)
        {
            BitPacking.Unpack(packedZeros.AsSpan(g * zeroWords, zeroWords), bits, line);
            for (var row = 0; row < rows; row++)
            {
                scales[row * groups + g] = storedScales[g * rows + row];
                zeros[row * groups + g] = version == 1 ? (line[row] + 1) & ((1 << bits) - 1) : line[row];
            }
        }
        return new GroupQuantizedWeight
        {
            Rows = rows,
            Columns = columns,
            Bits = bits,
            GroupSize = size,
            Symmetric = Array.TrueForAll(zeros, z => z == 1 << (bits - 1)),
            Codes = Codes(packed, rows, columns, bits),
            Scales = scales,
            ScaleType = scaleType,
            Zeros = zeros,
            GroupIndex = Index(parts, columns, size, groups),
        };
    }

    /// <summary>Output and input features.</summary>
    internal static (int Rows, int Columns) Shape(ITensorSource source, string file, string module, int bits) =>
        Shape(new StoredParts(source, file, module), bits);

    static (int Rows, int Columns) Shape(StoredParts parts, int bits)
    {
        var (words, rows) = parts.Matrix(PackedPart);
        var columns = (long)words * 32 / bits;
        return (long)words * 32 % bits == 0 && columns > 0 && columns * rows <= Array.MaxLength && Unfit(rows, (int)columns, bits) is null
            ? (rows, (int)columns)
            : throw parts.Wrong(PackedPart, $"has {words} × {rows} words, which do not hold a weight of {bits} bits.");
    }

    static byte Stored(int zero, int bits, int version)
    {
        if (zero < 0 || zero >= 1 << bits)
            throw new ArgumentException($"GPTQ checkpoints have no zero point {zero} at {bits} bits", nameof(zero));
        return (byte)(version == 1 ? (zero - 1) & ((1 << bits) - 1) : zero);
    }

    static byte[] Codes(uint[] packed, int rows, int columns, int bits)
    {
        var words = BitPacking.Words(columns, bits);
        var codes = new byte[rows * columns];
        var line = new uint[words];
        for (var row = 0; row < rows; row++)
        {
            for (var w = 0; w < words; w++) line[w] = packed[w * rows + row];
            BitPacking.Unpack(line, bits, codes.AsSpan(row * columns, columns));
        }
        return codes;
    }

    static int[]? Index(StoredParts parts, int columns, int size, int groups)
    {
        if (!parts.Has(IndexPart)) return null;
        var index = parts.Integers(IndexPart, columns);
        if (Array.Exists(index, g => g < 0 || g >= groups)) throw parts.Wrong(IndexPart, $"names a group outside 0 … {groups - 1}.");
        return index.Select((g, c) => g == c / size).All(same => same) ? null : index;
    }
}
