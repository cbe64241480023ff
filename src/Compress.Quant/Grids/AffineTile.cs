using System.Numerics;
using Compress.Core.Numerics;

namespace Compress.Quant.Grids;

/// <summary>Some rows of a weight while they are quantized: the rows' columns with the scale and zero point of each group.</summary>
internal sealed unsafe class AffineTile : IDisposable
{
    private const int Lanes = RowTile.PanelRows;

    private readonly AffineGrid grid;
    private readonly int groups;
    private readonly NativeBuffer scales;
    private readonly NativeBuffer zeros;
    private readonly NativeBuffer scratch;
    private readonly NativeBuffer? keep;

    /// <summary>Allocates a tile.</summary>
    /// <param name="grid">Fits and rounds.</param>
    /// <param name="columns">Columns of the weight.</param>
    /// <param name="groupColumns">Columns of a group.</param>
    /// <param name="masked">True where an earlier stage's zeros must stay.</param>
    public AffineTile(AffineGrid grid, int columns, int groupColumns, bool masked)
    {
        this.grid = grid;
        groups = (columns + groupColumns - 1) / groupColumns;
        Rows = new RowTile(columns);
        scales = new NativeBuffer((long)RowTile.Rows * groups);
        zeros = new NativeBuffer((long)RowTile.Rows * groups);
        scratch = new NativeBuffer((long)Math.Min(columns, groupColumns) * Lanes);
        keep = masked ? new NativeBuffer((long)RowTile.Rows * columns) : null;
    }

    /// <summary>The rows' weights and errors.</summary>
    public RowTile Rows { get; }

    /// <summary>Loads rows, and their part of the mask.</summary>
    /// <returns>How many weights are not finite; they are loaded as zero.</returns>
    public int Load(HostMatrix weight, ReadOnlySpan<byte> mask, int firstRow, int[] order)
    {
        var bad = Rows.Load(weight, firstRow, order);
        if (keep is null) return bad;
        for (var row = 0; row < Rows.UsedPanels * Lanes; row++)
        {
            var to = Keep(row / Lanes, 0) + row % Lanes;
            var kept = firstRow + row < weight.Rows ? mask.Slice(checked((firstRow + row) * weight.Columns), weight.Columns) : default;
            for (var step = 0; step < order.Length; step++) to[step * Lanes] = kept.IsEmpty ? 1 : kept[order[step]];
        }
        return bad;
    }

    /// <summary>32 rows' scales of a group.</summary>
    public float* Scales(int panel, int group) => scales.Data + ((long)panel * groups + group) * Lanes;

    /// <summary>32 rows' zero points of a group.</summary>
    public float* Zeros(int panel, int group) => zeros.Data + ((long)panel * groups + group) * Lanes;

    /// <summary>The weights as they are at some steps, removed ones as zero: 32 rows' values of one step after the other.</summary>
    public float* Gather(int panel, ReadOnlySpan<int> steps)
    {
        for (var i = 0; i < steps.Length; i++)
        {
            var to = new Span<float>(scratch.Data + i * Lanes, Lanes);
            new Span<float>(Rows.Weight(panel, steps[i]), Lanes).CopyTo(to);
            if (keep is null) continue;
            var kept = Keep(panel, steps[i]);
            for (var lane = 0; lane < Lanes; lane++) to[lane] *= kept[lane];
        }
        return scratch.Data;
    }

    /// <summary>Fits a group to the weights as they are at some steps.</summary>
    /// <param name="panel">The panel.</param>
    /// <param name="group">The group.</param>
    /// <param name="steps">The steps.</param>
    /// <param name="importance">What the squared error at each of the steps counts; empty where all count alike.</param>
    public void Fit(int panel, int group, ReadOnlySpan<int> steps, ReadOnlySpan<float> importance = default)
    {
        fixed (float* counts = importance) grid.Fit(Gather(panel, steps), steps.Length, Scales(panel, group), Zeros(panel, group), counts);
    }

    /// <summary>Fits a group to foreseen weights.</summary>
    /// <param name="panel">The panel.</param>
    /// <param name="group">The group.</param>
    /// <param name="first">First step of the group.</param>
    /// <param name="count">Its steps.</param>
    /// <param name="weights">Their weights; those of removed ones become zero.</param>
    /// <param name="importance">What the squared error at each of the steps counts; empty where all count alike.</param>
    public void Fit(int panel, int group, int first, int count, float* weights, ReadOnlySpan<float> importance = default)
    {
        if (keep is not null)
        {
            var kept = Keep(panel, first);
            for (var i = 0; i < count * Lanes; i++) weights[i] *= kept[i];
        }
        fixed (float* counts = importance) grid.Fit(weights, count, Scales(panel, group), Zeros(panel, group), counts);
    }

    /// <summary>Gives all rows of a group the same scale and zero point.</summary>
    public void Set(int panel, int group, float scale, float zero)
    {
        new Span<float>(Scales(panel, group), Lanes).Fill(scale);
        new Span<float>(Zeros(panel, group), Lanes).Fill(zero);
    }

    /// <summary>
    /// Rounds a step's weights. The step's weights become their codes, its errors original − decoded.
    /// </summary>
    /// <returns><c>Σ (w − w')²</c> over the 32 rows, w as updated.</returns>
    public float Quantize(int panel, int step, int group)
    {
        float* weight = Rows.Weight(panel, step), error = Rows.Error(panel, step);
        float* scale = Scales(panel, group), zero = Zeros(panel, group);
        var kept = keep is null ? null : Keep(panel, step);
        Vector<float> sum = default;
        for (var lane = 0; lane < Lanes; lane += Vector<float>.Count)
        {
            Vector<float> w = Vector.Load(weight + lane), s = Vector.Load(scale + lane), z = Vector.Load(zero + lane);
            var code = grid.Codes(w, s, z);
            if (kept is not null) code = Vector.ConditionalSelect(Vector.Equals(Vector.Load(kept + lane), Vector<float>.Zero), z, code);
            var decoded = (code - z) * s;
            sum += (w - decoded) * (w - decoded);
            (Vector.Load(error + lane) - decoded).Store(error + lane);
            code.Store(weight + lane);
        }
        return Vector.Sum(sum);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Rows.Dispose();
        scales.Dispose();
        zeros.Dispose();
        scratch.Dispose();
        keep?.Dispose();
    }

    private float* Keep(int panel, int step) => keep!.Data + ((long)panel * Rows.Steps + step) * Lanes;
}
