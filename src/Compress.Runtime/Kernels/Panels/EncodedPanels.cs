using Compress.Formats.Encodings;
using Compress.Formats.Encodings.Positions;
using Compress.Formats.Encodings.Values;
using Compress.Runtime.Model;
using Compress.Runtime.Threading;

namespace Compress.Runtime.Kernels.Panels;

/// <summary>Chooses the layout in which a weight of a checkpoint runs from its codes.</summary>
internal static class EncodedPanels
{
    private const int LeastBitsOfBitmap = 8;

    /// <summary>The weight in panels; null where no layout holds what it decodes to, so that it has to be decoded.</summary>
    /// <param name="weight">The weight.</param>
    /// <param name="pages">Gives the memory; outlives the matrix.</param>
    /// <param name="pool">Threads to share the work.</param>
    public static PackedMatrix? Pack(EncodedWeight weight, Pages pages, WorkerPool pool) => weight switch
    {
        GroupQuantizedWeight groups => Dense(groups, pages, pool),
        LayeredWeight { Values: IntegerValues, Positions: not DensePositions } layers when layers.ToGroups() is { } groups =>
            (PackedMatrix?)Sparse(layers, groups, pages, pool) ?? Dense(groups, pages, pool),
        LayeredWeight { Values: TableValues tables, Positions: DensePositions } => TablePanelMatrix.Pack(weight.Rows, weight.Columns, tables, pages, pool),
        DenseAndSparseWeight sum when Pack(sum.Base, pages, pool) is { } packed => new OutlierMatrix(packed, sum.Outliers),
        _ => null,
    };

    private static PanelMatrix? Dense(GroupQuantizedWeight weight, Pages pages, WorkerPool pool) =>
        GroupSource.For(weight) is { } source ? PanelMatrix.Pack(source, pages, pool) : null;

    /// <summary>
    /// The bitmap layout, where it is faster than a dense one. It has a bit for each weight and codes of 4 or 8 bits; expanding them takes
    /// the time in which the memory bus brings some 6 bits a weight (docs/formats.md), so that narrower codes are read sooner in full.
    /// </summary>
    private static SparsePanelMatrix? Sparse(LayeredWeight layers, GroupQuantizedWeight groups, Pages pages, WorkerPool pool)
    {
        if (groups.Bits < LeastBitsOfBitmap) return null;
        var nonZeros = layers.Positions as BitmapPositions ?? BitmapPositions.OfNonZeros(layers);
        var elements = (long)layers.Rows * layers.Columns;
        return elements + (long)groups.Bits * nonZeros.Count < groups.Bits * elements ? SparsePanelMatrix.Pack(groups, nonZeros.Bits, pages, pool) : null;
    }
}
