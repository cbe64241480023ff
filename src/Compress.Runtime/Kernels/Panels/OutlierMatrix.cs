using System.Runtime.Intrinsics;
using Compress.Formats.Encodings;
using Compress.Formats.Encodings.Positions;

namespace Compress.Runtime.Kernels.Panels;

/// <summary>A weight in panels plus a few others in compressed rows, multiplied with the same 8-bit activations.</summary>
internal sealed unsafe class OutlierMatrix : PackedMatrix
{
    private readonly PackedMatrix inner;
    private readonly int[] offsets;
    private readonly int[] places;
    private readonly float[] values;

    /// <param name="inner">The weight in panels.</param>
    /// <param name="outliers">What is added to it, at <see cref="CsrPositions"/>.</param>
    public OutlierMatrix(PackedMatrix inner, LayeredWeight outliers) : base(inner.Rows, inner.Columns)
    {
        this.inner = inner;
        InputOrder = inner.InputOrder;
        var positions = (CsrPositions)outliers.Positions;
        offsets = positions.RowOffsets;
        places = inner.InputOrder is { } order ? Places(order, positions.ColumnIndex) : positions.ColumnIndex;
        values = new float[positions.Count];
        for (var r = 0; r < Rows; r++)
        {
            var columns = positions.ColumnIndex.AsSpan(offsets[r]..offsets[r + 1]);
            outliers.Values.Decode(r, offsets[r], columns, values.AsSpan(offsets[r], columns.Length));
        }
    }

    public override long Bytes => inner.Bytes + 4L * (offsets.Length + places.Length + values.Length);

    public override string Use => $"{inner.Use}, outliers added";

    public override void Multiply(QuantizedInput x, int from, int to, float* y, nint stride, float[]? bias, float* scratch)
    {
        inner.Multiply(x, from, to, y, stride, bias, scratch);
        PanelCall call = default;
        for (var tile = 0; tile < x.Tiles; tile++)
        {
            x.Describe(ref call, tile, 0, 1);
            var width = x.Width(tile);
            for (var r = from * CodePlanes.Rows; r < Math.Min(Rows, to * CodePlanes.Rows); r++)
            {
                if (offsets[r] < offsets[r + 1]) Add(call, width, r, y + tile * QuantizedInput.Tile * stride + r, stride, scratch);
            }
        }
    }

    /// <summary>Adds a row's outliers times the tokens of a tile; a column's four-byte step holds all its tokens one after the other.</summary>
    private void Add(in PanelCall call, int width, int row, float* y, nint stride, float* sums)
    {
        new Span<float>(sums, width).Clear();
        for (var i = offsets[row]; i < offsets[row + 1]; i++)
        {
            int column = places[i], left = 24 - column % CodePlanes.StepColumns * 8, t = 0;
            var step = (int*)call.X + (nint)(column / CodePlanes.StepColumns) * width;
            var scales = call.XScales + (nint)(column / CodePlanes.BlockColumns) * width;
            for (; t + 4 <= width; t += 4)
            {
                var x = Vector128.ConvertToSingle(Vector128.Load(step + t) << left >> 24) * Vector128.Load(scales + t);
                (Vector128.Load(sums + t) + x * values[i]).Store(sums + t);
            }
            for (; t < width; t++) sums[t] += (step[t] << left >> 24) * scales[t] * values[i];
        }
        for (var t = 0; t < width; t++) y[t * stride] += sums[t];
    }

    /// <summary>Where columns lie in the order in which the panels take them.</summary>
    private static int[] Places(int[] order, int[] columns)
    {
        var places = new int[order.Length];
        for (var i = 0; i < order.Length; i++)
        {
            if (order[i] >= 0) places[order[i]] = i;
        }
        return Array.ConvertAll(columns, c => places[c]);
    }
}
