using System.Text.Json.Nodes;

namespace Compress.Formats.Encodings.Positions;

/// <summary>Which elements of a weight <c>[rows, columns]</c> are stored. Their values lie in row-major order.</summary>
public abstract class WeightPositions
{
    /// <summary>For structures of a shape that an array can index.</summary>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features, at least 1.</param>
    /// <exception cref="ArgumentException">The shape is out of range.</exception>
    private protected WeightPositions(int rows, int columns)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(columns);
        if ((long)rows * columns > Array.MaxLength) throw new ArgumentException($"{rows} × {columns} elements are too many", nameof(rows));
        (Rows, Columns) = (rows, columns);
    }

    /// <summary>Output features.</summary>
    public int Rows { get; }

    /// <summary>Input features.</summary>
    public int Columns { get; }

    /// <summary>Stored elements.</summary>
    public int Count => First(Rows);

    /// <summary>What a configuration calls the structure.</summary>
    public abstract string Kind { get; }

    /// <summary>The structure in words.</summary>
    public virtual string Summary => Kind;

    /// <summary>Bytes that the positions take when stored.</summary>
    public abstract long StoredBytes { get; }

    /// <summary>Number of stored elements before a row; <see cref="Rows"/> asks for all.</summary>
    /// <param name="row">Row number.</param>
    public abstract int First(int row);

    /// <summary>Lists the columns that a row stores, in ascending order.</summary>
    /// <param name="row">Row number.</param>
    /// <param name="columns">Takes up to <see cref="Columns"/> columns.</param>
    /// <returns>How many there are.</returns>
    public abstract int Read(int row, Span<int> columns);

    /// <summary>What a reader has to know beside the stored parts.</summary>
    internal virtual JsonObject Describe() => new() { ["kind"] = Kind };

    /// <summary>The parts as they are stored.</summary>
    internal abstract IEnumerable<StoredPart> Parts();

    /// <summary>Reads what <see cref="Describe"/> and <see cref="Parts"/> wrote.</summary>
    /// <exception cref="ModelFileException">A part is missing, or its type, shape or values do not fit.</exception>
    /// <exception cref="ArgumentException">Values of a part contradict each other.</exception>
    internal static WeightPositions ReadAny(QuantizationConfigReader config, StoredParts parts, int rows, int columns) => config.String("kind") switch
    {
        DensePositions.Name => new DensePositions(rows, columns),
        BitmapPositions.Name => BitmapPositions.Read(parts, rows, columns),
        CsrPositions.Name => CsrPositions.Read(parts, rows, columns),
        PeriodicPositions.Name => PeriodicPositions.Read(config, parts, rows, columns),
        var other => throw config.Wrong("kind", $"is \"{Suggestion.Shorten(other)}\"; {DensePositions.Name}, {BitmapPositions.Name}, "
            + $"{CsrPositions.Name} and {PeriodicPositions.Name} are read."),
    };
}
