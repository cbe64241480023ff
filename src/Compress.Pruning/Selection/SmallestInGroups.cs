using System.Numerics;

namespace Compress.Pruning.Selection;

/// <summary>
/// Marks the smallest keys of every M consecutive ones: exactly those that come first after a stable ascending sort of the group.
/// </summary>
/// <remarks>
/// An element's place in its sorted group is the number of smaller keys after it plus the number of keys before it that are not
/// greater. Both are counted for a whole vector of elements at once by comparing the row with itself shifted by 1 … M−1.
/// </remarks>
/// <param name="group">M.</param>
/// <param name="columns">Length of a row, a multiple of M.</param>
public sealed class SmallestInGroups(int group, int columns)
{
    private readonly int[] position = Positions(group, columns);

    /// <summary>Length of the key buffer that <see cref="Zero"/> takes: the row with M unused elements on either side.</summary>
    public int PaddedLength { get; } = columns + 2 * group + Vector<int>.Count;

    /// <summary>Where the row begins in the key buffer.</summary>
    public int Start => group;

    /// <summary>
    /// Sets <paramref name="weights"/> to zero where the key is among the <paramref name="count"/> smallest of its group.
    /// </summary>
    /// <param name="padded">Keys of the row from <see cref="Start"/> on, in a buffer of <see cref="PaddedLength"/>.</param>
    /// <param name="count">How many of each group to remove.</param>
    /// <param name="weights">The row's weights.</param>
    public void Zero(ReadOnlySpan<int> padded, int count, Span<float> weights)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(padded.Length, PaddedLength);
        ArgumentOutOfRangeException.ThrowIfNotEqual(weights.Length, columns);
        var removed = new Vector<int>(count);
        var i = 0;
        for (; i <= columns - Vector<int>.Count; i += Vector<int>.Count)
        {
            var remove = Vector.LessThan(Rank(padded, i), removed);
            Vector.ConditionalSelect(remove, Vector<float>.Zero, new Vector<float>(weights[i..])).CopyTo(weights[i..]);
        }
        if (i == columns) return;
        var last = Rank(padded, i);
        for (var lane = 0; i + lane < columns; lane++)
        {
            if (last[lane] < count) weights[i + lane] = 0;
        }
    }

    private Vector<int> Rank(ReadOnlySpan<int> padded, int i)
    {
        var self = new Vector<int>(padded[(group + i)..]);
        var at = new Vector<int>(position.AsSpan(i));
        var rank = Vector<int>.Zero;
        for (var d = 1; d < group; d++)
        {
            var after = new Vector<int>(padded[(group + i + d)..]);
            var before = new Vector<int>(padded[(group + i - d)..]);
            rank -= Vector.LessThan(after, self) & Vector.LessThan(at, new Vector<int>(group - d));
            rank -= Vector.LessThanOrEqual(before, self) & Vector.GreaterThanOrEqual(at, new Vector<int>(d));
        }
        return rank;
    }

    private static int[] Positions(int group, int columns)
    {
        var result = new int[columns + Vector<int>.Count];
        for (var i = 0; i < result.Length; i++) result[i] = i % group;
        return result;
    }
}
