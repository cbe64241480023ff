using System.Globalization;
using Compress.Core.Methods;
using Compress.Core.Numerics;
using Compress.Formats.Encodings;
using TorchSharp;
using static TorchSharp.torch;

namespace Compress.Quant.Grids;

/// <summary>A site on its way to integer codes: what tiles are loaded from and where their codes go.</summary>
internal sealed unsafe class AffineCodes : IDisposable
{
    private readonly AffineOptions options;
    private readonly HostMatrix weight;
    private readonly byte[]? mask;
    private readonly Device device;
    private readonly byte[] codes;
    private readonly float[] scales;
    private readonly int[] zeros;
    private long notFinite;

    /// <summary>Prepares a site.</summary>
    /// <param name="options">Settings without conflict.</param>
    /// <param name="site">The site; borrowed.</param>
    public AffineCodes(AffineOptions options, LinearView site)
    {
        this.options = options;
        weight = HostMatrix.Of(site.Weight);
        device = site.Weight.device;
        GroupColumns = options.GroupColumns(weight.Columns);
        codes = new byte[checked(weight.Rows * weight.Columns)];
        scales = new float[weight.Rows * Groups];
        zeros = new int[weight.Rows * Groups];
        if (site.Mask is not { } given) return;
        using var bytes = given.to(ScalarType.Byte, CPU);
        mask = bytes.data<byte>().ToArray();
    }

    /// <summary>Columns of the weight.</summary>
    public int Columns => weight.Columns;

    /// <summary>Columns of a group.</summary>
    public int GroupColumns { get; }

    /// <summary>Groups of a row.</summary>
    public int Groups => (Columns + GroupColumns - 1) / GroupColumns;

    /// <summary>Tiles of rows.</summary>
    public int Tiles => (weight.Rows + RowTile.Rows - 1) / RowTile.Rows;

    /// <summary>Runs over tiles of rows on all cores.</summary>
    /// <param name="grid">Fits and rounds.</param>
    /// <param name="order">Column of each step.</param>
    /// <param name="body">Takes the tile's number and the tile.</param>
    public void ReadTiles(AffineGrid grid, int[] order, Action<int, AffineTile> body)
    {
        notFinite = 0;
        Parallel.For(0, Tiles, () => new AffineTile(grid, Columns, GroupColumns, mask is not null), (index, _, tile) =>
        {
            var bad = tile.Load(weight, mask, index * RowTile.Rows, order);
            if (bad > 0) Interlocked.Add(ref notFinite, bad);
            body(index, tile);
            return tile;
        }, tile => tile.Dispose());
    }

    /// <summary>Runs over tiles of rows on all cores and takes the codes that the body leaves in each.</summary>
    /// <param name="grid">Fits and rounds.</param>
    /// <param name="order">Column of each step.</param>
    /// <param name="body">Quantizes one tile; returns its part of the loss.</param>
    /// <returns>The sum of the parts, added in order.</returns>
    public double Quantize(AffineGrid grid, int[] order, Func<AffineTile, double> body)
    {
        var parts = new double[Tiles];
        ReadTiles(grid, order, (index, tile) =>
        {
            parts[index] = body(tile);
            Take(tile, index * RowTile.Rows, order);
        });
        return parts.Sum();
    }

    /// <summary>The result: the encoding, and the weight that it decodes to.</summary>
    /// <param name="groupIndex">Group of each column where groups are not consecutive columns.</param>
    /// <param name="log">Takes what was found.</param>
    public LinearResult Finish(int[]? groupIndex, SiteLog log)
    {
        if (notFinite > 0)
            log.Notes.Add(string.Create(CultureInfo.InvariantCulture, $"{notFinite} weights are not finite and were taken as zero."));
        var quantized = new GroupQuantizedWeight
        {
            Rows = weight.Rows,
            Columns = Columns,
            Bits = options.Bits,
            GroupSize = GroupColumns,
            Symmetric = options.Symmetric,
            Codes = codes,
            Scales = scales,
            Zeros = zeros,
            ScaleType = options.StoredScale,
            GroupIndex = groupIndex,
        };
        var decoded = HostMatrix.Empty(weight.Rows, Columns);
        Workers.For(weight.Rows, codes.LongLength, row => quantized.DecodeRow(row, decoded.Row(row)));
        return new LinearResult(decoded.Release(device), quantized);
    }

    /// <inheritdoc/>
    public void Dispose() => weight.Dispose();

    private void Take(AffineTile tile, int firstRow, int[] order)
    {
        for (var row = 0; row < RowTile.Rows && firstRow + row < weight.Rows; row++)
        {
            var (panel, lane) = (row / RowTile.PanelRows, row % RowTile.PanelRows);
            var from = tile.Rows.Weight(panel, 0) + lane;
            var to = codes.AsSpan((firstRow + row) * Columns, Columns);
            for (var step = 0; step < order.Length; step++) to[order[step]] = (byte)from[step * RowTile.PanelRows];
            for (var group = 0; group < Groups; group++)
            {
                scales[(firstRow + row) * Groups + group] = tile.Scales(panel, group)[lane];
                zeros[(firstRow + row) * Groups + group] = (int)tile.Zeros(panel, group)[lane];
            }
        }
    }
}
