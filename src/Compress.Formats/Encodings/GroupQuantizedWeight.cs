using System.Globalization;
using System.Numerics;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Encodings;

/// <summary>
/// A weight <c>[rows, columns]</c> in integer codes with a scale and zero point for each row and group of columns.
/// Decode: <c>w[r,c] = (code[r,c] − zero[r,g]·2^−ZeroFraction) · scale[r,g]</c> with <c>g = GroupIndex?[c] ?? c / GroupSize</c>, in f32.
/// </summary>
public sealed record GroupQuantizedWeight : EncodedWeight
{
    /// <summary>Bits of a code, 2 to 8.</summary>
    public required int Bits { get; init; }

    /// <summary>Columns of a group (the last one may be short); <see cref="EncodedWeight.Columns"/> for one group a row.</summary>
    public required int GroupSize { get; init; }

    /// <summary>True where every zero point is the middle code 2^(bits−1).</summary>
    public required bool Symmetric { get; init; }

    /// <summary>Unsigned codes, one a byte, row-major <c>[rows, columns]</c>, each below 2^bits.</summary>
    public required byte[] Codes { get; init; }

    /// <summary>Scales, row-major <c>[rows, groups]</c>, exactly representable in <see cref="ScaleType"/>.</summary>
    public required float[] Scales { get; init; }

    /// <summary>
    /// Zero points in units of 2^−<see cref="ZeroFraction"/>, row-major <c>[rows, groups]</c>, in 0 … 2^(bits + ZeroFraction) (inclusive only
    /// where a format allows it).
    /// </summary>
    public required int[] Zeros { get; init; }

    /// <summary>Binary digits of a zero point behind the point (HQQ), so that 0 need not be among the values; with the bits at most 8.</summary>
    public int ZeroFraction { get; init; }

    /// <summary>How scales are stored: F16, BF16 or F32.</summary>
    public required ElementType ScaleType { get; init; }

    /// <summary>Group of each column (activation order without static groups), or null for consecutive groups.</summary>
    public int[]? GroupIndex { get; init; }

    /// <summary>Groups of a row.</summary>
    public int Groups => (int)(((long)Columns + GroupSize - 1) / GroupSize);

    /// <summary>Bits of a stored zero point: none where symmetric, as many as a code's and the fraction's, or one more where a zero point is
    /// 2^bits (16 in place of 9).</summary>
    public int ZeroBits => Symmetric ? 0 : !Array.Exists(Zeros, z => z >> ZeroWidth != 0) ? ZeroWidth : ZeroWidth < 8 ? ZeroWidth + 1 : 16;

    /// <summary>Bits of a zero point below 2^bits.</summary>
    internal int ZeroWidth => Bits + ZeroFraction;

    /// <summary>What one unit of <see cref="Zeros"/> is worth.</summary>
    internal float ZeroUnit => 1f / (1 << ZeroFraction);

    /// <summary>Bytes of scales, zero points and group index.</summary>
    public long GridBytes =>
        (long)Scales.Length * ScaleType.Bits() / 8 + ((long)Zeros.Length * ZeroBits + 7) / 8 + 4L * (GroupIndex?.Length ?? 0);

    /// <inheritdoc/>
    public override long StoredBytes => ((long)Codes.Length * Bits + 7) / 8 + GridBytes;

    /// <inheritdoc/>
    public override int? CodeBits => Bits;

    /// <inheritdoc/>
    public override string Summary => string.Create(CultureInfo.InvariantCulture, $"{Bits}-bit integers");

    /// <inheritdoc/>
    public override void DecodeRow(int row, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(destination.Length, Columns, nameof(destination));
        var codes = Codes.AsSpan(checked(row * Columns), Columns);
        var scales = Scales.AsSpan(row * Groups, Groups);
        var zeros = Zeros.AsSpan(row * Groups, Groups);
        if (GroupIndex is { } groupOf)
        {
            for (var c = 0; c < codes.Length; c++) destination[c] = (codes[c] - zeros[groupOf[c]] * ZeroUnit) * scales[groupOf[c]];
            return;
        }
        for (var (g, first) = (0, 0); g < scales.Length; g++, first += GroupSize)
        {
            var last = Math.Min(first + GroupSize, codes.Length);
            DecodeGroup(codes[first..last], zeros[g] * ZeroUnit, scales[g], destination[first..last]);
        }
    }

    // Codes and zero points have so few digits that their difference is exact.
    private static void DecodeGroup(ReadOnlySpan<byte> codes, float zero, float scale, Span<float> destination)
    {
        var c = 0;
        var (zeros, scales, part) = (new Vector<float>(zero), new Vector<float>(scale), Vector<float>.Count);
        for (; c <= codes.Length - Vector<byte>.Count; c += Vector<byte>.Count)
        {
            Vector.Widen(new Vector<byte>(codes[c..]), out var low, out var high);
            Vector.Widen(low, out var first, out var second);
            Vector.Widen(high, out var third, out var fourth);
            ((Vector.ConvertToSingle(Vector.AsVectorInt32(first)) - zeros) * scales).CopyTo(destination[c..]);
            ((Vector.ConvertToSingle(Vector.AsVectorInt32(second)) - zeros) * scales).CopyTo(destination[(c + part)..]);
            ((Vector.ConvertToSingle(Vector.AsVectorInt32(third)) - zeros) * scales).CopyTo(destination[(c + 2 * part)..]);
            ((Vector.ConvertToSingle(Vector.AsVectorInt32(fourth)) - zeros) * scales).CopyTo(destination[(c + 3 * part)..]);
        }
        for (; c < codes.Length; c++) destination[c] = (codes[c] - zero) * scale;
    }
}
