using System.Numerics;
using Compress.Core.Numerics;

namespace Compress.Quant.Grids;

/// <summary>Fits scales and zero points, for 32 rows at a time: <c>w' = (code − zero)·scale</c>, codes 0 … 2^bits − 1.</summary>
/// <remarks>
/// Zero points are whole numbers among the codes, so 0 is always represented exactly. Scales are rounded to their storage type first.
/// Everything is rounded half to even.
/// </remarks>
/// <param name="options">Settings without conflict.</param>
public sealed unsafe class AffineGrid(AffineOptions options)
{
    /// <summary>Ranges that the search for the least error tries: 1, 0.99, … 0.21 of the whole.</summary>
    public const int SearchSteps = 80;

    /// <summary>The norm of that search.</summary>
    public const float SearchNorm = 2.4f;

    private const int Lanes = RowTile.PanelRows;
    private const int ColumnsBetweenChecks = 16;

    private readonly int middle = 1 << (options.Bits - 1);

    /// <summary>Greatest code.</summary>
    public int MaxCode { get; } = (1 << options.Bits) - 1;

    /// <summary>Scale and zero point of a range.</summary>
    /// <param name="min">Least weight.</param>
    /// <param name="max">Greatest weight.</param>
    /// <param name="share">Share of the range that is covered; the rest is clipped.</param>
    /// <returns>A scale that the storage type holds exactly, positive and finite, and the code of 0.</returns>
    public (float Scale, float Zero) Parameters(float min, float max, float share = 1)
    {
        if (options.Flavour != AffineFlavour.Awq) (min, max) = (Math.Min(min, 0), Math.Max(max, 0));
        (min, max) = (min * share, max * share);
        var greatest = Math.Max(-min, max);
        if (options.Flavour == AffineFlavour.CompressedTensors && greatest == 0) return (Epsilon(), options.Symmetric ? middle : 0);
        if (greatest == 0 && options.Flavour != AffineFlavour.Awq) (min, max, greatest) = (-1, 1, 1);
        if (options.Symmetric)
        {
            return (Stored(options.Flavour == AffineFlavour.Absmax ? greatest / (middle - 1) : greatest / (MaxCode / 2f)), middle);
        }
        var range = options.Flavour == AffineFlavour.Awq ? Math.Max(max - min, 1e-5f) : max - min;
        var scale = Stored(range / MaxCode);
        return (scale, Math.Clamp(MathF.Round(-min / scale), 0, MaxCode));
    }

    /// <summary>Fits 32 rows' parameters to some of their columns.</summary>
    /// <param name="columns">Weights, 32 rows' values of one column after the other.</param>
    /// <param name="count">Columns, at least one.</param>
    /// <param name="scales">Receives 32 scales.</param>
    /// <param name="zeros">Receives 32 zero points.</param>
    /// <param name="importance">
    /// What each column's squared error counts: the range is searched for the least sum. Null: <see cref="AffineOptions.Mse"/> decides.
    /// </param>
    public void Fit(float* columns, int count, float* scales, float* zeros, float* importance = null)
    {
        float* least = stackalloc float[Lanes], greatest = stackalloc float[Lanes];
        Range(columns, count, least, greatest);
        for (var lane = 0; lane < Lanes; lane++) (scales[lane], zeros[lane]) = Parameters(least[lane], greatest[lane]);
        if (options.Mse || importance != null) Search(columns, count, least, greatest, scales, zeros, importance);
    }

    /// <summary>Codes of some weights, as floats.</summary>
    /// <param name="weights">Weights.</param>
    /// <param name="scales">Their scales.</param>
    /// <param name="zeros">Their zero points.</param>
    public Vector<float> Codes(Vector<float> weights, Vector<float> scales, Vector<float> zeros) =>
        Vector.Min(Vector.Max(Vector.Round(weights / scales) + zeros, Vector<float>.Zero), new Vector<float>(MaxCode));

    /// <summary>Adds <c>Σ|w − w'|^2.4</c> of some columns, or <c>Σ importance·(w − w')²</c>, to each row's error.</summary>
    /// <param name="columns">Weights, 32 rows' values of one column after the other.</param>
    /// <param name="count">Columns.</param>
    /// <param name="scales">32 scales.</param>
    /// <param name="zeros">32 zero points.</param>
    /// <param name="errors">32 errors, added to.</param>
    /// <param name="importance">A number for each column, or null.</param>
    public void AddErrors(float* columns, int count, float* scales, float* zeros, float* errors, float* importance = null)
    {
        for (var lane = 0; lane < Lanes; lane += Vector<float>.Count)
        {
            Vector<float> scale = Vector.Load(scales + lane), zero = Vector.Load(zeros + lane), error = Vector.Load(errors + lane);
            for (var c = 0; c < count; c++)
            {
                var w = Vector.Load(columns + c * Lanes + lane);
                var distance = Vector.Abs(w - (Codes(w, scale, zero) - zero) * scale);
                error += importance == null ? Vector.Exp(Vector.Log(distance) * SearchNorm) : distance * distance * importance[c];
            }
            error.Store(errors + lane);
        }
    }

    private static void Range(float* columns, int count, float* least, float* greatest)
    {
        for (var lane = 0; lane < Lanes; lane += Vector<float>.Count)
        {
            Vector<float> min = Vector.Load(columns + lane), max = min;
            for (var c = 1; c < count; c++)
            {
                var w = Vector.Load(columns + c * Lanes + lane);
                (min, max) = (Vector.Min(min, w), Vector.Max(max, w));
            }
            min.Store(least + lane);
            max.Store(greatest + lane);
        }
    }

    private void Search(float* columns, int count, float* least, float* greatest, float* scales, float* zeros, float* importance)
    {
        float* best = stackalloc float[Lanes], error = stackalloc float[Lanes];
        float* scale = stackalloc float[Lanes], zero = stackalloc float[Lanes];
        new Span<float>(best, Lanes).Fill(float.PositiveInfinity);
        for (var step = 0; step < SearchSteps; step++)
        {
            for (var lane = 0; lane < Lanes; lane++)
                (scale[lane], zero[lane]) = Parameters(least[lane], greatest[lane], ShareOf(step));
            new Span<float>(error, Lanes).Clear();
            for (var first = 0; first < count && AnyBelow(error, best); first += ColumnsBetweenChecks)
            {
                AddErrors(columns + first * Lanes, Math.Min(ColumnsBetweenChecks, count - first), scale, zero, error,
                    importance == null ? null : importance + first);
            }
            for (var lane = 0; lane < Lanes; lane++)
            {
                if (!(error[lane] < best[lane])) continue;
                (best[lane], scales[lane], zeros[lane]) = (error[lane], scale[lane], zero[lane]);
            }
        }
    }

    /// <summary>Errors only grow: a range that has already lost in every row need not be followed to the end.</summary>
    private static bool AnyBelow(float* errors, float* best)
    {
        for (var lane = 0; lane < Lanes; lane += Vector<float>.Count)
        {
            if (Vector.LessThanAny(Vector.Load(errors + lane), Vector.Load(best + lane))) return true;
        }
        return false;
    }

    /// <summary>The share of the range that a step of the search tries.</summary>
    internal static float ShareOf(int step) => (float)(1 - step / 100.0);

    /// <summary>The nearest scale that the storage type holds, kept off zero and infinity.</summary>
    private float Stored(float scale) => options.ScaleType switch
    {
        ScaleType.F16 => Math.Clamp((float)(Half)scale, (float)Half.Epsilon, (float)Half.MaxValue),
        ScaleType.BF16 => Math.Clamp(RoundToBFloat16(scale), float.Epsilon * (1 << 16), 3.3895314e38f),
        _ => Math.Clamp(scale, float.Epsilon, float.MaxValue),
    };

    private float Epsilon() => options.ScaleType switch
    {
        ScaleType.F16 => 1 / 1024f,
        ScaleType.BF16 => 1 / 128f,
        _ => 1.1920929e-7f,
    };

    private static float RoundToBFloat16(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return BitConverter.UInt32BitsToSingle((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000);
    }
}
