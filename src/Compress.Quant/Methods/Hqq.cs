using Compress.Core.Methods;
using Compress.Core.Numerics;
using Compress.Core.Statistics;
using Compress.Formats.Encodings;
using Compress.Quant.Grids;
using static TorchSharp.torch;

namespace Compress.Quant.Methods;

/// <summary>Fits the zero point of each group so that few weights keep a large error; needs no data.</summary>
/// <remarks>
/// <para>Badri and Shaji 2023, "Half-Quadratic Quantization of Large Machine Learning Models" (mobiusml.github.io/hqq_blog) and the published
/// code. Scale s as in rtn; the zero point z minimises <c>Σ|w − s(q − z)|^p</c>, p &lt; 1, over w of a group, with an error e split off:
/// <c>q = clamp(round(w/s + z))</c>, <c>r = w − s(q − z)</c>, <c>e = sign(r)·max(0, |r| − |r|^(p−1)/β)</c>, <c>z = mean(q − (w − e)/s)</c>,
/// <c>β ← κβ</c>, as long as <c>Σ|r|</c> falls.</para>
/// <para>At the published β = 10 an error below 10^(−1/(2−p)) = 0.17 is cut to e = 0, so that with the weights of most models z is the plain
/// mean.</para>
/// <para>Differences: each group stops by itself and keeps its best z, where the published code watches the mean of the whole matrix; ranges
/// include 0, as everywhere here; z is stored in 8 bits, of which <c>8 − bits</c> are a fraction, and not as a half. Where the recipe keeps
/// sparsity z is whole, since with a fraction no code decodes to 0.</para>
/// </remarks>
/// <param name="options">Settings.</param>
[Method("hqq", StageKind.Quantize,
    Summary = "Fits the zero point of each group so that few weights keep a large error; needs no calibration data.",
    Paper = "Badri and Shaji 2023, mobiusml.github.io/hqq_blog")]
public sealed class Hqq(Hqq.Options options) : ILinearMethod
{
    /// <summary>Settings of <see cref="Hqq"/>.</summary>
    public sealed record Options
    {
        /// <summary>Bits of a code.</summary>
        [Between(2, 8)]
        public int Bits { get; init; } = 4;

        /// <summary>Inputs that share a scale, the last group being short where it does not divide the width; −1 for the whole row.</summary>
        [Between(-1, 1_048_576)]
        public int GroupSize { get; init; } = 64;

        /// <summary>How scales are stored.</summary>
        public ScaleType ScaleType { get; init; } = ScaleType.F16;

        /// <summary>True: zero points are whole, as checkpoints of other programs need them.</summary>
        public bool RoundZero { get; init; }

        /// <summary>The norm p of the errors; the smaller, the less do a few large ones count.</summary>
        [Between(0, 1)]
        public double Norm { get; init; } = 0.7;

        /// <summary>First weight β of the quadratic part.</summary>
        [Between(1e-6, 1e12)]
        public double Beta { get; init; } = 10;

        /// <summary>Factor κ by which β grows from one iteration to the next.</summary>
        [Between(1, 1000)]
        public double Growth { get; init; } = 1.01;

        /// <summary>Most iterations.</summary>
        [Between(0, 1000)]
        public int Iterations { get; init; } = 20;

        internal AffineOptions Grid => new() { Bits = Bits, GroupSize = GroupSize, ScaleType = ScaleType };

        /// <summary>Binary digits of a zero point behind the point.</summary>
        internal int Fraction(bool masked) => RoundZero || masked ? 0 : 8 - Bits;
    }

    /// <inheritdoc/>
    public Needs Needs => Needs.Nothing;

    /// <inheritdoc/>
    public string? Unfit(SiteShape site) => options.Grid.Unfit(site);

    /// <inheritdoc/>
    public SiteOutlook Outlook(SiteShape site)
    {
        var outlook = options.Grid.Outlook(site);
        return outlook with { Encoding = outlook.Encoding! with { ZeroFraction = options.Fraction(masked: false) } };
    }

    /// <inheritdoc/>
    public LinearResult Apply(LinearView site, StatisticsSet statistics, SiteLog log)
    {
        using var weight = FiniteWeight.Of(site.Weight, log);
        var kept = site.Mask is { } mask ? Bytes(mask) : null;
        var (rows, columns) = (weight.Rows, weight.Columns);
        var size = Math.Min(columns, options.Grid.GroupColumns(columns));
        var groups = (columns + size - 1) / size;
        var (codes, scales, zeros, losses) = (new byte[rows * columns], new float[rows * groups], new int[rows * groups], new double[rows]);
        Parallel.For(0, rows, () => new Group(options, size, kept is not null), (row, _, group) =>
        {
            for (var g = 0; g < groups; g++)
            {
                var (first, count) = (g * size, Math.Min(size, columns - g * size));
                var at = row * columns + first;
                var mine = kept is null ? default : kept.AsSpan(at, count);
                losses[row] += group.Quantize(
                    weight.Row(row).Slice(first, count), mine, codes.AsSpan(at, count), out scales[row * groups + g], out zeros[row * groups + g]);
            }
            return group;
        }, _ => { });
        log.Loss = losses.Sum();
        var quantized = new GroupQuantizedWeight
        {
            Rows = rows,
            Columns = columns,
            Bits = options.Bits,
            GroupSize = size,
            Symmetric = false,
            Codes = codes,
            Scales = scales,
            ScaleType = options.Grid.StoredScale,
            Zeros = zeros,
            ZeroFraction = options.Fraction(kept is not null),
        };
        var decoded = HostMatrix.Empty(rows, columns);
        Workers.For(rows, codes.LongLength, row => quantized.DecodeRow(row, decoded.Row(row)));
        return new LinearResult(decoded.Release(site.Weight.device), quantized);
    }

    private static byte[] Bytes(Tensor mask)
    {
        using var bytes = mask.to(ScalarType.Byte, CPU);
        return bytes.data<byte>().ToArray();
    }

    /// <summary>One group at a time, in double.</summary>
    private sealed class Group(Options options, int size, bool masked)
    {
        private readonly AffineGrid grid = new(options.Grid);
        private readonly double unit = 1.0 / (1 << options.Fraction(masked));
        private readonly double[] weights = new double[size];

        /// <summary>Fits a group and rounds its weights.</summary>
        /// <returns><c>Σ (w − w')²</c>.</returns>
        public double Quantize(ReadOnlySpan<float> row, ReadOnlySpan<byte> kept, Span<byte> codes, out float scale, out int zero)
        {
            var count = 0;
            float least = 0, greatest = 0;
            for (var c = 0; c < row.Length; c++)
            {
                if (!kept.IsEmpty && kept[c] == 0) continue;
                weights[count++] = row[c];
                (least, greatest) = (Math.Min(least, row[c]), Math.Max(greatest, row[c]));
            }
            (scale, var whole) = grid.Parameters(least, greatest);
            // A group of zeros keeps a whole zero point, which is a code.
            var best = least < greatest ? Fit(weights.AsSpan(0, count), scale, Stored(-least / (double)scale)) : whole;
            zero = (int)(best / unit);
            var loss = 0.0;
            for (var c = 0; c < row.Length; c++)
            {
                var removed = !kept.IsEmpty && kept[c] == 0;
                var code = removed ? best : Code(row[c] / (double)scale, best);
                codes[c] = (byte)code;
                var error = (removed ? 0 : row[c]) - scale * (code - best);
                loss += error * error;
            }
            return loss;
        }

        private double Fit(ReadOnlySpan<double> values, double scale, double zero)
        {
            var (best, least, beta) = (zero, double.PositiveInfinity, options.Beta);
            // One round more than there are iterations, for the error of the last zero point.
            for (var i = 0; i <= options.Iterations; i++, beta *= options.Growth)
            {
                // Below this an error is cut to 0.
                var negligible = Math.Pow(beta, 1 / (options.Norm - 2));
                double error = 0, sum = 0;
                foreach (var w in values)
                {
                    var code = Code(w / scale, zero);
                    var rest = w - scale * (code - zero);
                    var size = Math.Abs(rest);
                    error += size;
                    var apart = size <= negligible ? 0 : Math.CopySign(size - Math.Pow(size, options.Norm - 1) / beta, rest);
                    sum += code - (w - apart) / scale;
                }
                if (!(error < least)) break;
                (least, best) = (error, zero);
                zero = Stored(sum / values.Length);
            }
            return best;
        }

        private double Code(double steps, double zero) => Math.Clamp(Math.Round(steps + zero), 0, grid.MaxCode);

        /// <summary>The nearest zero point that can be stored.</summary>
        private double Stored(double zero) => Math.Clamp(Math.Round(zero / unit), 0, grid.MaxCode / unit) * unit;
    }
}
