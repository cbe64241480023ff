using System.Numerics;
using System.Runtime.InteropServices;
using Compress.Core.Methods;
using TorchSharp;

namespace Compress.Pruning.Selection;

/// <summary>Removes the lowest scoring weights of each output row, or of each N:M group, on all cores.</summary>
/// <remarks>
/// The one place where masks are chosen. Rows are independent and written by one worker each, so the result does not depend on the
/// number of cores. Weights that an earlier stage removed count as removed first; weights that are not finite are set to zero, which
/// gives them the lowest score, and are reported.
/// </remarks>
public static class RowPruner
{
    /// <summary>Scores one row.</summary>
    /// <param name="row">Row of the weight.</param>
    /// <param name="weights">Its weights, all finite.</param>
    /// <param name="scores">Receives one non-negative score for each weight.</param>
    public delegate void Score(int row, ReadOnlySpan<float> weights, Span<float> scores);

    /// <summary>Prunes a site.</summary>
    /// <param name="site">The site; borrowed.</param>
    /// <param name="pattern">Unstructured: <paramref name="sparsity"/> of each row. N:M: all but N of each M.</param>
    /// <param name="sparsity">Share of each row to remove, rounded down to whole weights; ignored for N:M.</param>
    /// <param name="score">Importance; called from several threads.</param>
    /// <param name="log">Takes what was found.</param>
    /// <returns>Owned pruned weight, f32, on the device of the site's weight.</returns>
    public static torch.Tensor Prune(LinearView site, Pattern pattern, double sparsity, Score score, SiteLog log)
    {
        using var weight = new SiteWeights(site);
        var columns = weight.Columns;
        var groups = pattern.IsStructured ? new SmallestInGroups(pattern.Group, columns) : null;
        var removed = pattern.IsStructured ? pattern.Group - pattern.Kept : (int)(columns * sparsity);
        weight.ForEachRow(groups?.PaddedLength ?? columns, (row, values, buffer) =>
        {
            var keys = buffer.AsSpan(groups?.Start ?? 0, columns);
            score(row, values, MemoryMarshal.Cast<int, float>(keys));
            weight.MarkRemoved(row, keys);
            if (groups is null) SmallestInRow.Zero(keys, removed, values);
            else groups.Zero(buffer, removed, values);
        });
        return weight.Finish(log);
    }

    /// <summary>Writes <c>|w|</c>, or <c>|w|·factor</c> of the column.</summary>
    /// <param name="weights">One row.</param>
    /// <param name="factors">One non-negative factor for each column; empty for none.</param>
    /// <param name="scores">Receives the scores.</param>
    public static void Magnitudes(ReadOnlySpan<float> weights, ReadOnlySpan<float> factors, Span<float> scores)
    {
        var i = 0;
        for (; i <= weights.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            var magnitude = Vector.Abs(new Vector<float>(weights[i..]));
            if (!factors.IsEmpty) magnitude *= new Vector<float>(factors[i..]);
            magnitude.CopyTo(scores[i..]);
        }
        for (; i < weights.Length; i++) scores[i] = MathF.Abs(weights[i]) * (factors.IsEmpty ? 1 : factors[i]);
    }
}
