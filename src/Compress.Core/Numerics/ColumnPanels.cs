namespace Compress.Core.Numerics;

/// <summary>
/// A matrix <c>[rows, columns]</c> as panels of 32 columns: panel p holds columns 32p … 32p+31, row after row, the last one filled up
/// with zeros. Both operands of <c>AᵀB</c> are read from front to back in this form.
/// </summary>
public sealed unsafe class ColumnPanels : IDisposable
{
    private const int Width = ProductKernel.PanelWidth;

    private readonly NativeBuffer buffer;

    /// <summary>Allocates room; matrices of other shapes may be held later where they fit into it.</summary>
    /// <param name="rows">Rows of the largest matrix.</param>
    /// <param name="columns">Columns of the largest matrix.</param>
    public ColumnPanels(int rows, int columns) => buffer = new NativeBuffer(Size(rows, columns));

    /// <summary>Columns held, without filling.</summary>
    public int Columns { get; private set; }

    /// <summary>Rows held.</summary>
    public int Rows { get; private set; }

    /// <summary>Rows of one column, 32 elements apart.</summary>
    public float* Column(int column) => buffer.Data + (long)(column / Width) * Width * Rows + column % Width;

    /// <summary>Takes rows from a row-major f32 matrix, on all cores.</summary>
    /// <param name="source">First element to take.</param>
    /// <param name="stride">Elements from one row to the next.</param>
    /// <param name="rows">How many rows.</param>
    /// <param name="columns">How many columns.</param>
    public void Fill(float* source, nint stride, int rows, int columns) => ForEachPanel(rows, columns, (panel, width) =>
    {
        var to = Column(panel * Width);
        var from = source + panel * Width;
        for (var r = 0; r < rows; r++, to += Width, from += stride)
        {
            new ReadOnlySpan<float>(from, width).CopyTo(new Span<float>(to, Width));
            new Span<float>(to + width, Width - width).Clear();
        }
    });

    /// <summary>Takes rows from a row-major bf16 matrix; widening is exact.</summary>
    /// <param name="source">First element to take.</param>
    /// <param name="stride">Elements from one row to the next.</param>
    /// <param name="rows">How many rows.</param>
    /// <param name="columns">How many columns.</param>
    public void FillBFloat16(ushort* source, nint stride, int rows, int columns) => ForEachPanel(rows, columns, (panel, width) =>
    {
        var to = (uint*)Column(panel * Width);
        var from = source + panel * Width;
        for (var r = 0; r < rows; r++, to += Width, from += stride)
        {
            for (var c = 0; c < width; c++) to[c] = (uint)from[c] << 16;
            new Span<uint>(to + width, Width - width).Clear();
        }
    });

    /// <inheritdoc/>
    public void Dispose() => buffer.Dispose();

    private static long Size(int rows, int columns) => (long)((columns + Width - 1) / Width) * Width * rows;

    private void ForEachPanel(int rows, int columns, Action<int, int> body)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Size(rows, columns), buffer.Length);
        (Rows, Columns) = (rows, columns);
        Workers.For((columns + Width - 1) / Width, (long)rows * columns, panel => body(panel, Math.Min(Width, columns - panel * Width)));
    }
}
