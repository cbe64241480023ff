namespace Compress.Core.Numerics;

/// <summary><c>C ± PᵀP</c>, only on and right of the diagonal: half the work of a general product.</summary>
public static unsafe class SymmetricProduct
{
    private const int Width = ProductKernel.PanelWidth;
    private const int TileRows = ProductKernel.TileRows;

    /// <summary>Rows and columns of the part of C that one worker takes at a time; it stays in the second-level cache.</summary>
    private const int BlockRows = 128, BlockColumns = 256;

    /// <summary>Terms that are summed before C is touched again; both operands' parts stay in the first-level cache.</summary>
    private const int Depth = 256;

    /// <summary><c>C[i][j] += Σ_k P[k][i]·P[k][j]</c> for i &lt; rows and j ≥ i.</summary>
    /// <param name="panels">P.</param>
    /// <param name="c">Row-major C. Elements left of the diagonal may be overwritten with anything.</param>
    /// <param name="stride">Elements from one row of C to the next.</param>
    /// <param name="rows">Rows of C to compute, at most the columns of P.</param>
    /// <param name="negative">True for <c>C −= PᵀP</c>.</param>
    public static void AddUpper(ColumnPanels panels, float* c, nint stride, int rows, bool negative = false)
    {
        var blockRows = (rows + BlockRows - 1) / BlockRows;
        var blockColumns = (panels.Columns + BlockColumns - 1) / BlockColumns;
        Workers.For(blockRows * blockColumns, (long)rows * panels.Columns * panels.Rows / 8, block =>
        {
            int i0 = block / blockColumns * BlockRows, j0 = block % blockColumns * BlockColumns;
            int i1 = Math.Min(rows, i0 + BlockRows), j1 = Math.Min(panels.Columns, j0 + BlockColumns);
            if (j1 <= i0) return;
            for (var k = 0; k < panels.Rows; k += Depth)
                Block(panels, k, Math.Min(Depth, panels.Rows - k), c, stride, i0, i1, j0, j1, negative);
        });
    }

    private static void Block(
        ColumnPanels panels, int k, int depth, float* c, nint stride, int i0, int i1, int j0, int j1, bool negative)
    {
        var edge = stackalloc float[TileRows * Width];
        for (var j = j0; j < j1; j += Width)
        {
            var b = panels.Column(j) + (nint)k * Width;
            for (var i = i0; i < i1; i += TileRows)
            {
                if (j + Width <= i) break;
                var a = panels.Column(i) + (nint)k * Width;
                var tile = c + i * stride + j;
                if (i + TileRows <= i1 && j + Width <= panels.Columns)
                {
                    if (negative) ProductKernel.Subtract(a, b, depth, tile, stride);
                    else ProductKernel.Add(a, b, depth, tile, stride);
                    continue;
                }
                Edge(a, b, depth, edge, tile, stride, Math.Min(TileRows, i1 - i), Math.Min(Width, panels.Columns - j), negative);
            }
        }
    }

    private static void Edge(
        float* a, float* b, int depth, float* edge, float* tile, nint stride, int rows, int columns, bool negative)
    {
        new Span<float>(edge, TileRows * Width).Clear();
        ProductKernel.Add(a, b, depth, edge, Width);
        for (var i = 0; i < rows; i++)
        {
            for (var j = 0; j < columns; j++) tile[i * stride + j] += negative ? -edge[i * Width + j] : edge[i * Width + j];
        }
    }
}
