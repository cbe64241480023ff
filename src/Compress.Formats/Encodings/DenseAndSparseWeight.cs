using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Compress.Formats.Encodings.Positions;

namespace Compress.Formats.Encodings;

/// <summary>
/// A weight plus sparse outliers, the sum in f32 (Kim et al., "SqueezeLLM", arXiv 2306.07629, section 4.2). An outlier adds to what
/// the base decodes to at its place, so who makes it stores the outlier less that value.
/// </summary>
public sealed record DenseAndSparseWeight : EncodedWeight
{
    /// <summary>Puts the terms together.</summary>
    /// <param name="baseWeight">The base, of any encoding but a sum.</param>
    /// <param name="outliers">What is added, at <see cref="CsrPositions"/>.</param>
    /// <exception cref="ArgumentException">The shapes differ, the base is a sum itself, or the outliers are not CSR.</exception>
    [SetsRequiredMembers]
    public DenseAndSparseWeight(EncodedWeight baseWeight, LayeredWeight outliers)
    {
        if ((outliers.Rows, outliers.Columns) != (baseWeight.Rows, baseWeight.Columns))
            throw new ArgumentException("outliers and base have different shapes", nameof(outliers));
        if (baseWeight is DenseAndSparseWeight) throw new ArgumentException("the base has outliers of its own", nameof(baseWeight));
        if (outliers.Positions is not CsrPositions) throw new ArgumentException("outliers are stored as CSR", nameof(outliers));
        (Rows, Columns) = (baseWeight.Rows, baseWeight.Columns);
        (Base, Outliers) = (baseWeight, outliers);
    }

    /// <summary>The base.</summary>
    public EncodedWeight Base { get; }

    /// <summary>What is added to it.</summary>
    public LayeredWeight Outliers { get; }

    /// <inheritdoc/>
    public override long StoredBytes => Base.StoredBytes + Outliers.StoredBytes;

    /// <inheritdoc/>
    public override int? CodeBits => Base.CodeBits;

    /// <inheritdoc/>
    public override string Summary => $"{Base.Summary} and outliers";

    /// <inheritdoc/>
    public override void DecodeRow(int row, Span<float> destination)
    {
        Base.DecodeRow(row, destination);
        var (columns, values) = (ArrayPool<int>.Shared.Rent(Columns), ArrayPool<float>.Shared.Rent(Columns));
        try
        {
            var count = Outliers.Positions.Read(row, columns);
            Outliers.Values.Decode(row, Outliers.Positions.First(row), columns.AsSpan(0, count), values.AsSpan(0, count));
            for (var i = 0; i < count; i++) destination[columns[i]] += values[i];
        }
        finally
        {
            ArrayPool<int>.Shared.Return(columns);
            ArrayPool<float>.Shared.Return(values);
        }
    }
}
