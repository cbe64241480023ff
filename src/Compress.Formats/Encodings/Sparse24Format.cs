using System.Numerics;
using System.Runtime.InteropServices;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings.Positions;
using Compress.Formats.Encodings.Values;

namespace Compress.Formats.Encodings;

/// <summary>
/// The sparse-24-bitmask format of compressed-tensors: of every four consecutive columns two floats are stored. <c>shape</c> I64 <c>[2,
/// 1]</c>, <c>compressed</c> <c>[out, in/2]</c> in the weight's type, <c>bitmask</c> U8 <c>[out, ⌈in/8⌉]</c>, bit i of byte k for column 8k + i.
/// </summary>
public static class Sparse24Format
{
    /// <summary>What compressed-tensors calls it.</summary>
    public const string Name = CompressedTensorsConfig.Sparse24;

    /// <summary>The part whose presence marks a module as sparse.</summary>
    internal const string ValuePart = "compressed";

    const string ShapePart = "shape", MaskPart = "bitmask";
    const int Kept = 2, Group = 4;

    /// <summary>All parts of a sparse weight.</summary>
    internal static IReadOnlyList<string> Parts { get; } = [ShapePart, ValuePart, MaskPart];

    /// <summary>A dense weight with two of four columns; null where more are not zero, or rows are not whole groups.</summary>
    /// <param name="weight">The weight, of floats.</param>
    public static LayeredWeight? Find(LayeredWeight weight) =>
        weight.Columns % Group == 0 && weight is { Positions: DensePositions, Values: FloatValues }
        && PeriodicPositions.From(BitmapPositions.OfNonZeros(weight), Kept, Group) is { } places ? weight.At(places) : null;

    /// <summary>The tensors of a weight.</summary>
    /// <param name="module">Name without <c>.weight</c>.</param>
    /// <param name="weight">The weight, as <see cref="Find"/> gives it.</param>
    /// <exception cref="ArgumentException">The weight is not 2:4, or not of floats.</exception>
    public static IReadOnlyList<PackedTensor> Pack(string module, LayeredWeight weight)
    {
        if (weight is not { Positions: PeriodicPositions { Kept: Kept, Group: Group } places, Values: FloatValues values } || weight.Columns % Group != 0)
            throw new ArgumentException("sparse-24-bitmask stores floats in two of every four columns", nameof(weight));
        var width = BitmapPositions.RowBytes(weight.Columns);
        var (mask, line) = (new byte[weight.Rows * width], new int[weight.Columns]);
        for (var row = 0; row < weight.Rows; row++)
        {
            foreach (var column in line.AsSpan(0, places.Read(row, line))) mask[row * width + column / 8] |= (byte)(1 << (column % 8));
        }
        return
        [
            new(TensorInfo.Of($"{module}.{ShapePart}", ElementType.I64, 2, 1), MemoryMarshal.AsBytes<long>([weight.Rows, weight.Columns]).ToArray()),
            new(TensorInfo.Of($"{module}.{ValuePart}", values.Type, weight.Rows, weight.Columns / 2), values.Data),
            new(TensorInfo.Of($"{module}.{MaskPart}", ElementType.U8, weight.Rows, width), mask),
        ];
    }

    /// <summary>Reads a weight back.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="file">Its path, for messages.</param>
    /// <param name="module">Name without <c>.weight</c>.</param>
    /// <exception cref="ModelFileException">A part is missing, or its type, shape or values do not fit.</exception>
    public static LayeredWeight Read(ITensorSource source, string file, string module)
    {
        var parts = new StoredParts(source, file, module);
        var (rows, columns, type) = Shape(source, file, module);
        var width = BitmapPositions.RowBytes(columns);
        var mask = parts.Raw(MaskPart, ElementType.U8, rows, width);
        var (places, at) = (new byte[rows * columns / 2], 0);
        for (var row = 0; row < rows; row++)
        {
            for (var column = 0; column < columns; column += Group)
            {
                var bits = mask[row * width + column / 8] >> (column % 8) & 15;
                if (BitOperations.PopCount((uint)bits) != Kept)
                    throw parts.Wrong(MaskPart, $"marks {BitOperations.PopCount((uint)bits)} of four columns from {column} on in row {row}; two are expected.");
                for (; bits != 0; bits &= bits - 1) places[at++] = (byte)BitOperations.TrailingZeroCount(bits);
            }
            if (columns % 8 != 0 && mask[(row + 1) * width - 1] >> (columns % 8) != 0) throw parts.Wrong(MaskPart, $"marks a column beyond {columns} in row {row}.");
        }
        return new LayeredWeight(
            new PeriodicPositions(rows, columns, Kept, Group, places), new FloatValues(type, parts.Raw(ValuePart, type, rows, columns / 2)));
    }

    /// <summary>Output and input features and element type, from headers and the stored shape.</summary>
    internal static (int Rows, int Columns, ElementType Type) Shape(ITensorSource source, string file, string module)
    {
        var parts = new StoredParts(source, file, module);
        var (rows, half) = parts.Matrix(ValuePart);
        var type = parts.Type(ValuePart);
        if (!ElementConversion.IsWritableFloat(type)) throw parts.Wrong(ValuePart, $"is {type}; a float is expected.");
        var columns = 2L * half;
        if (half == 0 || columns % Group != 0 || columns * rows > Array.MaxLength) throw parts.Wrong(ValuePart, $"has the shape [{rows}, {half}].");
        return parts.Longs(ShapePart, 2, 1) is [var r, var c] && r == rows && c == columns
            ? (rows, (int)columns, type)
            : throw parts.Wrong(ShapePart, $"does not say [{rows}, {columns}].");
    }
}
