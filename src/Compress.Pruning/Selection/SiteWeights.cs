using System.Globalization;
using System.Numerics;
using Compress.Core.Methods;
using Compress.Core.Numerics;
using static TorchSharp.torch;

namespace Compress.Pruning.Selection;

/// <summary>A site's weight while it is being pruned: a copy to write to, and the mask of an earlier stage.</summary>
internal sealed class SiteWeights : IDisposable
{
    private const int RowsPerTask = 16;

    private readonly HostMatrix source;
    private readonly HostMatrix result;
    private readonly byte[]? mask;
    private readonly Device device;
    private long notFinite;

    public SiteWeights(LinearView site)
    {
        source = HostMatrix.Of(site.Weight);
        result = HostMatrix.Empty(source.Rows, source.Columns);
        device = site.Weight.device;
        if (site.Mask is not { } given) return;
        using var bytes = given.to(ScalarType.Byte, CPU);
        mask = bytes.data<byte>().ToArray();
    }

    public delegate void RowBody(int row, Span<float> values, int[] buffer);

    public int Rows => source.Rows;

    public int Columns => source.Columns;

    /// <summary>Copies every row to the result and hands it to the body, on all cores. Values that are not finite arrive as zero.</summary>
    public void ForEachRow(int bufferLength, RowBody body)
    {
        var tasks = (Rows + RowsPerTask - 1) / RowsPerTask;
        notFinite = 0;
        Parallel.For(0, tasks, () => new int[bufferLength], (task, _, buffer) =>
        {
            for (var row = task * RowsPerTask; row < Math.Min(Rows, (task + 1) * RowsPerTask); row++)
            {
                var values = result.Row(row);
                var bad = CopyFinite(source.Row(row), values);
                if (bad > 0) Interlocked.Add(ref notFinite, bad);
                body(row, values, buffer);
            }
            return buffer;
        }, _ => { });
    }

    /// <summary>Gives −1 to the keys of weights that an earlier stage removed: they go before all others.</summary>
    /// <returns>How many there are.</returns>
    public int MarkRemoved(int row, Span<int> keys)
    {
        if (mask is null) return 0;
        var kept = mask.AsSpan(checked(row * Columns), Columns);
        var removed = 0;
        for (var i = 0; i < keys.Length; i++)
        {
            if (kept[i] != 0) continue;
            keys[i] = -1;
            removed++;
        }
        return removed;
    }

    /// <summary>Zeroes what an earlier stage removed, reports, and gives the result away.</summary>
    public Tensor Finish(SiteLog log)
    {
        if (notFinite > 0)
            log.Notes.Add(string.Create(CultureInfo.InvariantCulture, $"{notFinite} weights are not finite and were set to zero."));
        if (mask is not null)
        {
            for (var row = 0; row < Rows; row++)
            {
                var values = result.Row(row);
                var kept = mask.AsSpan(checked(row * Columns), Columns);
                for (var i = 0; i < values.Length; i++)
                {
                    if (kept[i] == 0) values[i] = 0;
                }
            }
        }
        return result.Release(device);
    }

    public void Dispose() => source.Dispose();

    private static int CopyFinite(ReadOnlySpan<float> from, Span<float> to)
    {
        var bad = 0;
        var i = 0;
        for (; i <= from.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            var values = new Vector<float>(from[i..]);
            var finite = Vector.Equals(values - values, Vector<float>.Zero);
            if (!Vector.EqualsAll(finite, Vector<int>.AllBitsSet))
            {
                bad += Vector<int>.Count + Vector.Sum(finite);
                values = Vector.ConditionalSelect(finite, values, Vector<float>.Zero);
            }
            values.CopyTo(to[i..]);
        }
        for (; i < from.Length; i++)
        {
            var finite = float.IsFinite(from[i]);
            to[i] = finite ? from[i] : 0;
            if (!finite) bad++;
        }
        return bad;
    }
}
