using Compress.Core.Statistics;
using static TorchSharp.torch;

namespace Compress.Core.Pipeline;

/// <summary>How far a compressed weight's outputs are from those of the weight before, on the calibration tokens.</summary>
internal static class SiteErrors
{
    /// <summary>Rows measured for the output error: evenly spread, enough for two digits, a small part of a compression's time.</summary>
    private const int SampledRows = 256;

    /// <summary>
    /// <c>tr(ΔW H ΔWᵀ) / tr(W H Wᵀ)</c> over at most 256 evenly spread rows; with channel norms only H's diagonal counts. Null without
    /// either statistic.
    /// </summary>
    /// <param name="before">Borrowed weight <c>[out, in]</c>, f32.</param>
    /// <param name="after">Borrowed weight of the same shape.</param>
    /// <param name="statistics">What was gathered of the input.</param>
    public static double? Output(Tensor before, Tensor after, IReadOnlyList<Statistic> statistics)
    {
        using var scope = NewDisposeScope();
        var rows = SampleOf(before.shape[0], before.device);
        var (w, now) = rows is null ? (before, after) : (before.index_select(0, rows), after.index_select(0, rows));
        var delta = now - w;
        if (statistics.OfType<Hessian>().FirstOrDefault() is { } hessian)
        {
            using var h = hessian.ToMatrix().to(w.device);
            return Ratio(Quadratic(delta, h), Quadratic(w, h));
        }
        if (statistics.OfType<ColumnNorms>().FirstOrDefault() is { } norms)
        {
            using var squares = norms.ScalerRow();
            return Ratio(Diagonal(delta, squares), Diagonal(w, squares));
        }
        return null;
    }

    private static double Quadratic(Tensor w, Tensor h) => (w.matmul(h) * w).sum(ScalarType.Float64).item<double>();

    private static double Diagonal(Tensor w, Tensor squares) => (w.square() * squares).sum(ScalarType.Float64).item<double>();

    private static Tensor? SampleOf(long rows, Device device) => rows <= SampledRows
        ? null
        : arange(SampledRows, ScalarType.Int64, device).mul(rows).div(SampledRows, RoundingMode.floor);

    /// <summary><c>error / whole</c>; 0 where both are zero.</summary>
    public static double Ratio(double error, double whole) => whole > 0 ? Math.Max(0, error) / whole : error > 0 ? double.PositiveInfinity : 0;
}
