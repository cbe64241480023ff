using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Compress.Formats.Encodings.Positions;
using Compress.Formats.Encodings.Values;

namespace Compress.Formats.Encodings;

/// <summary>
/// A weight of two layers: which elements are stored, and how their values are. Every structure goes with every kind of value; elements
/// that are not stored are zero.
/// </summary>
public sealed record LayeredWeight : EncodedWeight
{
    /// <summary>Puts the layers together.</summary>
    /// <param name="positions">Which elements are stored.</param>
    /// <param name="values">Their values, in row-major order.</param>
    /// <exception cref="ArgumentException">The layers are of different shapes or counts.</exception>
    [SetsRequiredMembers]
    public LayeredWeight(WeightPositions positions, WeightValues values)
    {
        (Rows, Columns) = (positions.Rows, positions.Columns);
        (Positions, Values) = (positions, values);
        if (values.Count != positions.Count)
            throw new ArgumentException($"{values.Count} values do not fill {positions.Count} positions", nameof(values));
        if (values.Unfit(Rows, Columns) is { } reason) throw new ArgumentException(reason, nameof(values));
    }

    /// <summary>Which elements are stored.</summary>
    public WeightPositions Positions { get; }

    /// <summary>The values of the stored elements, in row-major order.</summary>
    public WeightValues Values { get; }

    /// <inheritdoc/>
    public override long StoredBytes => Positions.StoredBytes + Values.StoredBytes;

    /// <inheritdoc/>
    public override int? CodeBits => Values is FloatValues ? null : Values.ElementBits;

    /// <inheritdoc/>
    public override string Summary => Positions is DensePositions ? Values.Summary : $"{Positions.Summary} of {Values.Summary}";

    /// <inheritdoc/>
    public override void DecodeRow(int row, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(destination.Length, Columns, nameof(destination));
        var (columns, values) = (ArrayPool<int>.Shared.Rent(Columns), ArrayPool<float>.Shared.Rent(Columns));
        try
        {
            var count = Positions.Read(row, columns);
            Values.Decode(row, Positions.First(row), columns.AsSpan(0, count), values.AsSpan(0, count));
            destination.Clear();
            for (var i = 0; i < count; i++) destination[columns[i]] = values[i];
        }
        finally
        {
            ArrayPool<int>.Shared.Return(columns);
            ArrayPool<float>.Shared.Return(values);
        }
    }

    /// <summary>A group-quantized weight as layers.</summary>
    /// <param name="weight">The weight.</param>
    public static LayeredWeight Of(GroupQuantizedWeight weight) =>
        new(new DensePositions(weight.Rows, weight.Columns), new IntegerValues(weight, weight.Codes));

    /// <summary>The same values at fewer positions.</summary>
    /// <param name="positions">What to store; each of these is stored now.</param>
    /// <exception cref="ArgumentException">An element is not stored now.</exception>
    public LayeredWeight At(WeightPositions positions)
    {
        var (numbers, now, next) = (new int[positions.Count], new int[Columns], new int[Columns]);
        for (var row = 0; row < Rows; row++)
        {
            var (stored, kept, at) = (Positions.Read(row, now), positions.Read(row, next), 0);
            for (var i = 0; i < kept; i++)
            {
                while (at < stored && now[at] < next[i]) at++;
                if (at == stored || now[at] != next[i]) throw new ArgumentException($"row {row} does not store column {next[i]}", nameof(positions));
                numbers[positions.First(row) + i] = Positions.First(row) + at;
            }
        }
        return new LayeredWeight(positions, Values.Pick(numbers));
    }

    /// <summary>
    /// Integer values as a group-quantized weight in which elements that are not stored have their zero point as code; null for other
    /// values and where such a code does not exist.
    /// </summary>
    public GroupQuantizedWeight? ToGroups()
    {
        if (Values is not IntegerValues { Grid: var grid } integers) return null;
        if (Positions is DensePositions) return grid with { Codes = integers.Codes };
        if (grid.ZeroFraction > 0 || Array.Exists(grid.Zeros, z => z >> grid.Bits != 0)) return null;
        var codes = new byte[Rows * Columns];
        Parallel.For(0, Rows, () => new int[Columns], (row, _, columns) =>
        {
            var line = codes.AsSpan(row * Columns, Columns);
            if (grid.Symmetric) line.Fill((byte)(1 << (grid.Bits - 1)));
            else if (grid.GroupIndex is { } index)
            {
                for (var c = 0; c < Columns; c++) line[c] = (byte)grid.Zeros[row * grid.Groups + index[c]];
            }
            else
            {
                for (var g = 0; g < grid.Groups; g++)
                    line[(g * grid.GroupSize)..Math.Min(Columns, (g + 1) * grid.GroupSize)].Fill((byte)grid.Zeros[row * grid.Groups + g]);
            }
            var (count, first) = (Positions.Read(row, columns), Positions.First(row));
            for (var i = 0; i < count; i++) line[columns[i]] = integers.Codes[first + i];
            return columns;
        }, _ => { });
        return grid with { Codes = codes };
    }
}
