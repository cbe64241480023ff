using Compress.Core.Numerics;

namespace Compress.Quant.Grids;

/// <summary>One scale and zero point for a whole matrix.</summary>
internal static unsafe class MatrixFit
{
    private const int Lanes = RowTile.PanelRows;

    /// <summary>Fits.</summary>
    /// <param name="grid">The formula.</param>
    /// <param name="search">True: shrink the range to the one with the least error.</param>
    /// <param name="codes">The site, one group a row.</param>
    /// <param name="order">All columns.</param>
    public static (float Scale, float Zero) Of(AffineGrid grid, bool search, AffineCodes codes, int[] order)
    {
        var ranges = new (float Least, float Greatest)[codes.Tiles];
        codes.ReadTiles(grid, order, (index, tile) => ranges[index] = Range(tile, order));
        var (least, greatest) = (ranges.Min(r => r.Least), ranges.Max(r => r.Greatest));
        var best = grid.Parameters(least, greatest);
        if (!search) return best;

        var errors = new double[codes.Tiles][];
        codes.ReadTiles(grid, order, (index, tile) => errors[index] = Errors(grid, tile, order, least, greatest));
        var bestError = double.PositiveInfinity;
        for (var step = 0; step < AffineGrid.SearchSteps; step++)
        {
            var error = errors.Sum(e => e[step]);
            if (!(error < bestError)) continue;
            (bestError, best) = (error, grid.Parameters(least, greatest, AffineGrid.ShareOf(step)));
        }
        return best;
    }

    private static (float Least, float Greatest) Range(AffineTile tile, int[] order)
    {
        var (least, greatest) = (float.PositiveInfinity, float.NegativeInfinity);
        for (var panel = 0; panel < tile.Rows.UsedPanels; panel++)
        {
            var rows = Math.Min(Lanes, tile.Rows.UsedRows - panel * Lanes);
            var columns = tile.Gather(panel, order);
            for (var c = 0; c < order.Length; c++)
            {
                for (var lane = 0; lane < rows; lane++)
                    (least, greatest) = (Math.Min(least, columns[c * Lanes + lane]), Math.Max(greatest, columns[c * Lanes + lane]));
            }
        }
        return (least, greatest);
    }

    private static double[] Errors(AffineGrid grid, AffineTile tile, int[] order, float least, float greatest)
    {
        float* scales = stackalloc float[Lanes], zeros = stackalloc float[Lanes], errors = stackalloc float[Lanes];
        var result = new double[AffineGrid.SearchSteps];
        for (var panel = 0; panel < tile.Rows.UsedPanels; panel++)
        {
            var columns = tile.Gather(panel, order);
            for (var step = 0; step < result.Length; step++)
            {
                var (scale, zero) = grid.Parameters(least, greatest, AffineGrid.ShareOf(step));
                new Span<float>(scales, Lanes).Fill(scale);
                new Span<float>(zeros, Lanes).Fill(zero);
                new Span<float>(errors, Lanes).Clear();
                // Rows beyond the last are zero, which every grid represents exactly.
                grid.AddErrors(columns, order.Length, scales, zeros, errors);
                for (var lane = 0; lane < Lanes; lane++) result[step] += errors[lane];
            }
        }
        return result;
    }
}
