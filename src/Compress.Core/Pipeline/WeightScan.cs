using System.Numerics;
using System.Runtime.InteropServices;
using Compress.Core.Numerics;
using Compress.Formats.Encodings;
using TorchSharp;

namespace Compress.Core.Pipeline;

/// <summary>What one pass over two weights tells.</summary>
/// <param name="ErrorSquared"><c>‖W' − W‖²</c>.</param>
/// <param name="NormSquared"><c>‖W‖²</c>.</param>
/// <param name="Zeros">Elements of W' that are zero.</param>
/// <param name="IsFinite">True where every element of W' is a number.</param>
internal readonly record struct WeightComparison(double ErrorSquared, double NormSquared, long Zeros, bool IsFinite);

/// <summary>Passes over whole weights on all cores: each row is read once and reduced by itself, rows are summed in order.</summary>
internal static class WeightScan
{
    /// <summary>Compares a weight with what it was.</summary>
    /// <param name="before">Borrowed weight W <c>[out, in]</c>, f32.</param>
    /// <param name="after">Borrowed weight W' of the same shape, f32.</param>
    public static WeightComparison Compare(torch.Tensor before, torch.Tensor after)
    {
        using var was = HostMatrix.Of(before);
        using var now = HostMatrix.Of(after);
        var rows = new WeightComparison[was.Rows];
        Workers.For(was.Rows, (long)was.Rows * was.Columns, row => rows[row] = Compare(was.Row(row), now.Row(row)));
        return rows.Aggregate(new WeightComparison(0, 0, 0, true), (sum, row) => new WeightComparison(
            sum.ErrorSquared + row.ErrorSquared, sum.NormSquared + row.NormSquared, sum.Zeros + row.Zeros, sum.IsFinite && row.IsFinite));
    }

    /// <summary>True where a weight has, bit for bit, the values that an encoding decodes to.</summary>
    /// <param name="weight">Borrowed weight, f32.</param>
    /// <param name="encoding">The encoding.</param>
    public static bool IsDecodeOf(torch.Tensor weight, EncodedWeight encoding)
    {
        using var matrix = HostMatrix.Of(weight);
        if (matrix.Rows != encoding.Rows || matrix.Columns != encoding.Columns) return false;
        var different = 0;
        Workers.For(matrix.Rows, (long)matrix.Rows * matrix.Columns, row =>
        {
            var decoded = new float[matrix.Columns];
            encoding.DecodeRow(row, decoded);
            if (!MemoryMarshal.AsBytes<float>(decoded).SequenceEqual(MemoryMarshal.AsBytes(matrix.Row(row)))) different = 1;
        });
        return different == 0;
    }

    private static WeightComparison Compare(ReadOnlySpan<float> before, ReadOnlySpan<float> after)
    {
        var (error, norm, zeros, finite) = (Vector<float>.Zero, Vector<float>.Zero, Vector<int>.Zero, Vector<int>.AllBitsSet);
        var infinity = new Vector<float>(float.PositiveInfinity);
        var i = 0;
        for (; i <= before.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            var (was, now) = (new Vector<float>(before[i..]), new Vector<float>(after[i..]));
            var difference = now - was;
            error += difference * difference;
            norm += was * was;
            // A comparison that holds is −1 in every lane.
            zeros -= Vector.Equals(now, Vector<float>.Zero);
            finite &= Vector.LessThan(Vector.Abs(now), infinity);
        }
        double errorSum = Vector.Sum(error), normSum = Vector.Sum(norm);
        var (zeroCount, allFinite) = ((long)Vector.Sum(zeros), Vector.EqualsAll(finite, Vector<int>.AllBitsSet));
        for (; i < before.Length; i++)
        {
            var difference = after[i] - before[i];
            errorSum += difference * difference;
            normSum += before[i] * before[i];
            if (after[i] == 0) zeroCount++;
            allFinite &= float.IsFinite(after[i]);
        }
        return new WeightComparison(errorSum, normSum, zeroCount, allFinite);
    }
}
