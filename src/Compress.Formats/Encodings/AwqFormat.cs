using System.Runtime.InteropServices;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Encodings;

/// <summary>
/// The GEMM checkpoint format of AutoAWQ, 4 bits: <c>qweight</c> I32 <c>[in, out/8]</c>, <c>qzeros</c> I32 <c>[groups, out/8]</c>,
/// <c>scales</c> F16 <c>[groups, out]</c>. A word holds eight output features, its nibbles from the lowest those of the features
/// 0, 2, 4, 6, 1, 3, 5, 7; zero points are stored as they are.
/// </summary>
public static class AwqFormat
{
    /// <summary>The part whose presence marks a module as quantized.</summary>
    internal const string PackedPart = "qweight";

    const string ZeroPart = "qzeros", ScalePart = "scales";
    const int Bits = 4, PerWord = 8;

    static readonly int[] Order = [0, 2, 4, 6, 1, 3, 5, 7];

    /// <summary>All parts of a quantized weight.</summary>
    internal static IReadOnlyList<string> Parts { get; } = [PackedPart, ZeroPart, ScalePart];

    /// <summary>Reads a weight.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="file">Its path, for messages.</param>
    /// <param name="module">Name without <c>.weight</c>.</param>
    /// <param name="groupSize">Columns of a group; null for one group a row.</param>
    /// <exception cref="ModelFileException">A part is missing, or its type, shape or values do not fit.</exception>
    public static GroupQuantizedWeight Read(ITensorSource source, string file, string module, int? groupSize)
    {
        var parts = new StoredParts(source, file, module);
        var (rows, columns) = Shape(parts);
        var size = groupSize ?? columns;
        var groups = (int)(((long)columns + size - 1) / size);
        var words = rows / PerWord;
        var codes = Unpack(parts.Words(PackedPart, columns, words), columns, rows);
        var zeros = Unpack(parts.Words(ZeroPart, groups, words), groups, rows).Select(z => (int)z).ToArray();
        var (stored, scaleType) = parts.Scales(ScalePart, groups, rows);
        var scales = new float[stored.Length];
        for (var g = 0; g < groups; g++)
        {
            for (var row = 0; row < rows; row++) scales[row * groups + g] = stored[g * rows + row];
        }
        return new GroupQuantizedWeight
        {
            Rows = rows,
            Columns = columns,
            Bits = Bits,
            GroupSize = size,
            Symmetric = Array.TrueForAll(zeros, z => z == 1 << (Bits - 1)),
            Codes = codes,
            Scales = scales,
            ScaleType = scaleType,
            Zeros = zeros,
        };
    }

    /// <summary>Says why a weight of this shape and scheme cannot be stored; null where it can.</summary>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    /// <param name="scheme">The scheme.</param>
    public static string? Unfit(int rows, int columns, QuantizationScheme scheme) =>
        scheme.Bits != Bits ? $"AWQ stores {Bits} bits, not {scheme.Bits}."
        : rows % PerWord != 0 ? $"AWQ needs rows in multiples of {PerWord}, not {rows}."
        : scheme.ActivationOrder ? "AWQ has no activation order."
        : scheme.GroupSize is { } size && columns % size != 0 ? $"AWQ needs groups that divide the {columns} columns; {size} does not."
        : null;

    /// <summary>The tensors of a weight, to be declared before their values are known.</summary>
    /// <param name="module">Name without <c>.weight</c>.</param>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    /// <param name="scheme">The scheme.</param>
    public static IReadOnlyList<TensorInfo> Describe(string module, int rows, int columns, QuantizationScheme scheme)
    {
        var (groups, words) = (scheme.Groups(columns), rows / PerWord);
        return
        [
            TensorInfo.Of($"{module}.{PackedPart}", ElementType.I32, columns, words),
            TensorInfo.Of($"{module}.{ZeroPart}", ElementType.I32, groups, words),
            TensorInfo.Of($"{module}.{ScalePart}", scheme.ScaleType, groups, rows),
        ];
    }

    /// <summary>Packs a weight.</summary>
    /// <param name="module">Name without <c>.weight</c>.</param>
    /// <param name="weight">The weight; whole zero points below 16.</param>
    /// <returns>The tensors that <see cref="Describe"/> announces, in its order.</returns>
    /// <exception cref="ArgumentException">The weight cannot be stored, see <see cref="Unfit"/>.</exception>
    public static IReadOnlyList<PackedTensor> Pack(string module, GroupQuantizedWeight weight)
    {
        var scheme = QuantizationScheme.Of(weight);
        if (Unfit(weight.Rows, weight.Columns, scheme) is { } reason) throw new ArgumentException(reason, nameof(weight));
        if (weight.ZeroFraction > 0) throw new ArgumentException("AWQ has whole zero points", nameof(weight));
        if (Array.FindIndex(weight.Zeros, z => z is < 0 or > 15) is >= 0 and var at)
            throw new ArgumentException($"AWQ has no zero point {weight.Zeros[at]}", nameof(weight));
        var (rows, groups) = (weight.Rows, weight.Groups);
        var scales = new float[weight.Scales.Length];
        for (var row = 0; row < rows; row++)
        {
            for (var g = 0; g < groups; g++) scales[g * rows + row] = weight.Scales[row * groups + g];
        }
        var scaleBytes = new byte[scales.Length * weight.ScaleType.Bits() / 8];
        ElementConversion.FromSingle(weight.ScaleType, scales, scaleBytes);
        byte[] zeros = [.. weight.Zeros.Select(z => (byte)z)];
        byte[][] parts = [Pack(weight.Codes, weight.Columns, rows), Pack(zeros, groups, rows), scaleBytes];
        return [.. Describe(module, rows, weight.Columns, scheme).Zip(parts, (info, bytes) => new PackedTensor(info, bytes))];
    }

    /// <summary>Output and input features.</summary>
    internal static (int Rows, int Columns) Shape(ITensorSource source, string file, string module) =>
        Shape(new StoredParts(source, file, module));

    static (int Rows, int Columns) Shape(StoredParts parts)
    {
        var (columns, words) = parts.Matrix(PackedPart);
        return columns > 0 && (long)columns * words * PerWord <= Array.MaxLength
            ? (words * PerWord, columns)
            : throw parts.Wrong(PackedPart, $"has the shape [{columns}, {words}].");
    }

    /// <summary>Words <c>[columns, rows/8]</c> to codes <c>[rows, columns]</c>.</summary>
    static byte[] Unpack(uint[] words, int columns, int rows)
    {
        var codes = new byte[rows * columns];
        for (var c = 0; c < columns; c++)
        {
            for (var row = 0; row < rows; row += PerWord)
            {
                var word = words[(c * rows + row) / PerWord];
                for (var i = 0; i < PerWord; i++) codes[(row + Order[i]) * columns + c] = (byte)(word >> (Bits * i) & 15);
            }
        }
        return codes;
    }

    static byte[] Pack(byte[] codes, int columns, int rows)
    {
        var words = new uint[rows / PerWord * columns];
        for (var c = 0; c < columns; c++)
        {
            for (var row = 0; row < rows; row += PerWord)
            {
                var word = 0u;
                for (var i = 0; i < PerWord; i++) word |= (uint)codes[(row + Order[i]) * columns + c] << (Bits * i);
                words[(c * rows + row) / PerWord] = word;
            }
        }
        return MemoryMarshal.AsBytes<uint>(words).ToArray();
    }
}
