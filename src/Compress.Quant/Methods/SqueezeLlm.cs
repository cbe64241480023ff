using System.Globalization;
using Compress.Core.Methods;
using Compress.Core.Numerics;
using Compress.Core.Statistics;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using Compress.Formats.Encodings.Positions;
using Compress.Formats.Encodings.Values;
using Compress.Quant.Grids;
using static TorchSharp.torch;

namespace Compress.Quant.Methods;

/// <summary>Gives each row a table of its own values, fitted to its sensitive weights, and keeps a few outliers apart.</summary>
/// <remarks>
/// <para>Kim et al. 2023, "SqueezeLLM: Dense-and-Sparse Quantization", arXiv:2306.07629, section 4. Each row's weights are clustered to
/// 2^bits centres with the least <c>Σ_j s_j (w_j − c)²</c>; the exact optimum is found (<see cref="WeightedClusters"/>) where the published
/// code runs Lloyd's steps from a random start.</para>
/// <para>The sensitivity s_j here is <c>‖X_j‖²</c>, the diagonal of the Hessian of the layer's output error, the same for all rows. The
/// paper takes the diagonal of the Fisher matrix, squared gradients of the model's loss, which tells rows apart as well and needs
/// backward passes through the whole model.</para>
/// <para>Of each matrix a share of the weights leaves the clustering and is stored in compressed rows: first those with the largest
/// <c>s_j·w_ij²</c> (the paper's sensitive values), then those with the largest <c>|w_ij|</c> (its outliers; the paper tunes one threshold
/// for the whole model, here each matrix has the same share). Stored is the weight less the table's value at its place, so that table
/// and outliers simply add.</para>
/// <para>Where the recipe keeps sparsity, removed weights are not stored: the table's codes lie behind a bitmap.</para>
/// </remarks>
/// <param name="options">Settings.</param>
[Method("squeezellm", StageKind.Quantize,
    Summary = "Gives each row a table of its own values, fitted to its sensitive weights, and keeps a few outliers apart.",
    Paper = "Kim et al. 2023, arXiv:2306.07629")]
public sealed class SqueezeLlm(SqueezeLlm.Options options) : ILinearMethod
{
    private const float LargestHalf = 65504, LeastForHalves = 1f / 512;

    /// <summary>What makes a weight count in its row's clustering.</summary>
    public enum Sensitivities
    {
        /// <summary>The second moment of its input over the calibration tokens.</summary>
        Activations,

        /// <summary>All weights count alike; needs no calibration.</summary>
        None,
    }

    /// <summary>Settings of <see cref="SqueezeLlm"/>.</summary>
    public sealed record Options
    {
        /// <summary>Bits of a code; a row has 2^bits values.</summary>
        [Between(2, 4)]
        public int Bits { get; init; } = 4;

        /// <summary>What makes a weight count in its row's clustering.</summary>
        public Sensitivities Sensitivity { get; init; } = Sensitivities.Activations;

        /// <summary>Share of the weights that is stored apart, sensitive ones and outliers together; 0 for none.</summary>
        [Between(0, 0.1)]
        public double Outliers { get; init; } = 0.0045;

        /// <summary>Share of the weights that is stored apart for its sensitivity and not its size; part of <see cref="Outliers"/>.</summary>
        [Between(0, 0.1)]
        public double Sensitive { get; init; } = 0.0005;

        /// <summary>Share of the mean sensitivity that is added to each, so that inputs that were never seen keep some say.</summary>
        [Between(0, 1)]
        public double Damping { get; init; } = 0.01;
    }

    /// <inheritdoc/>
    public Needs Needs => options.Sensitivity == Sensitivities.None ? Needs.Nothing : Needs.Of<ColumnNorms>();

    /// <inheritdoc/>
    public string? Unfit(SiteShape site)
    {
        if ((long)site.OutFeatures * site.InFeatures > Array.MaxLength)
            return "a matrix of more than 2^31 weights cannot be held in one array of codes: ignore the site.";
        return options.Sensitive > options.Outliers ? "sensitive is a part of outliers: give it at most that share." : null;
    }

    /// <inheritdoc/>
    public SiteOutlook Outlook(SiteShape site) => new(Codebook: new CodebookScheme(options.Bits, options.Outliers));

    /// <inheritdoc/>
    public LinearResult Apply(LinearView site, StatisticsSet statistics, SiteLog log)
    {
        using var weight = FiniteWeight.Of(site.Weight, log);
        var (rows, columns) = (weight.Rows, weight.Columns);
        var sensitivity = Sensitivity(statistics, columns, log);
        WeightPositions positions = site.Mask is { } mask ? Kept(mask, weight) : new DensePositions(rows, columns);
        var apart = Apart(weight, positions, sensitivity);
        var type = TypeFor(weight);
        var (codes, tables, parts) = (new byte[positions.Count], new float[rows << options.Bits], new double[rows]);
        Parallel.For(0, rows, () => new Row(columns, options.Bits), (r, _, row) =>
        {
            var count = positions.Read(r, row.Columns);
            parts[r] = row.Quantize(
                weight.Row(r), row.Columns.AsSpan(0, count), apart, (long)r * columns, sensitivity, type,
                tables.AsSpan(r << options.Bits, 1 << options.Bits), codes.AsSpan(positions.First(r), count));
            return row;
        }, _ => { });
        log.Loss = parts.Sum();
        var table = new LayeredWeight(positions, new TableValues(options.Bits, codes, tables, type));
        EncodedWeight encoded = apart.Count == 0 ? table : new DenseAndSparseWeight(table, Outliers(weight, table, apart, type));
        var decoded = HostMatrix.Empty(rows, columns);
        Workers.For(rows, (long)rows * columns, r => encoded.DecodeRow(r, decoded.Row(r)));
        return new LinearResult(decoded.Release(site.Weight.device), encoded);
    }

    /// <summary>What each column counts, at most 1: damped, and of inputs without a finite moment as much as the largest.</summary>
    private double[] Sensitivity(StatisticsSet statistics, int columns, SiteLog log)
    {
        var result = new double[columns];
        if (options.Sensitivity == Sensitivities.None)
        {
            Array.Fill(result, 1);
            return result;
        }
        using var norms = statistics.Get<ColumnNorms>().ScalerRow();
        using var here = norms.cpu();
        var values = here.data<float>().ToArray();
        log.DeadColumns = values.Count(v => v == 0);
        var largest = values.Where(float.IsFinite).DefaultIfEmpty(0).Max();
        if (values.Count(v => !float.IsFinite(v)) is > 0 and var bad)
            log.Notes.Add(string.Create(CultureInfo.InvariantCulture, $"{bad} inputs have no finite second moment and count as much as the largest."));
        if (largest == 0) largest = 1;
        for (var c = 0; c < columns; c++) result[c] = float.IsFinite(values[c]) ? (double)values[c] / largest : 1;
        var floor = options.Damping * result.Average();
        for (var c = 0; c < columns; c++) result[c] += floor;
        return result;
    }

    private static BitmapPositions Kept(Tensor mask, HostMatrix weight)
    {
        using var bytes = mask.to(ScalarType.Byte, CPU);
        var kept = bytes.data<byte>().ToArray();
        var (width, bits) = (BitmapPositions.RowBytes(weight.Columns), new byte[weight.Rows * BitmapPositions.RowBytes(weight.Columns)]);
        for (var r = 0; r < weight.Rows; r++)
        {
            var line = weight.Row(r);
            for (var c = 0; c < line.Length; c++)
            {
                if (kept[r * weight.Columns + c] != 0 && line[c] != 0) bits[r * width + c / 8] |= (byte)(1 << (c % 8));
            }
        }
        return new BitmapPositions(weight.Rows, weight.Columns, bits);
    }

    /// <summary>Halves, or singles where weights leave the range in which halves have all their digits.</summary>
    private static ElementType TypeFor(HostMatrix weight)
    {
        var largest = 0f;
        for (var r = 0; r < weight.Rows; r++)
        {
            foreach (var w in weight.Row(r)) largest = Math.Max(largest, Math.Abs(w));
        }
        return largest is > LargestHalf or (> 0 and < LeastForHalves) ? ElementType.F32 : ElementType.F16;
    }

    /// <summary>Numbers (row · columns + column) of the weights that are stored apart.</summary>
    private HashSet<long> Apart(HostMatrix weight, WeightPositions positions, double[] sensitivity)
    {
        var elements = (long)weight.Rows * weight.Columns;
        var all = (int)(options.Outliers * elements);
        var sensitive = Math.Min(all, (int)(options.Sensitive * elements));
        var chosen = Largest(weight, positions, sensitive, [], (w, c) => sensitivity[c] * w * w);
        chosen.UnionWith(Largest(weight, positions, all - sensitive, chosen, (w, _) => Math.Abs(w)));
        return chosen;
    }

    /// <summary>The weights with the largest keys above 0; of equal ones the earlier.</summary>
    private static HashSet<long> Largest(
        HostMatrix weight, WeightPositions positions, int count, HashSet<long> without, Func<double, int, double> key)
    {
        var queue = new PriorityQueue<long, (double Key, long Earlier)>(count + 1);
        var columns = new int[weight.Columns];
        for (var r = 0; r < weight.Rows && count > 0; r++)
        {
            var line = weight.Row(r);
            var stored = positions.Read(r, columns);
            for (var i = 0; i < stored; i++)
            {
                var (c, number) = (columns[i], (long)r * weight.Columns + columns[i]);
                var value = key(line[c], c);
                if (!(value > 0) || without.Contains(number)) continue;
                if (queue.Count < count) queue.Enqueue(number, (value, -number));
                else if (queue.TryPeek(out _, out var least) && value > least.Key) queue.EnqueueDequeue(number, (value, -number));
            }
        }
        return [.. queue.UnorderedItems.Select(i => i.Element)];
    }

    /// <summary>What the table's values miss at the places that are stored apart.</summary>
    private static LayeredWeight Outliers(HostMatrix weight, LayeredWeight table, HashSet<long> apart, ElementType type)
    {
        long[] numbers = [.. apart.Order()];
        var (offsets, columns, values) = (new int[weight.Rows + 1], new int[numbers.Length], new float[numbers.Length]);
        var (line, next) = (new float[weight.Columns], 0);
        for (var r = 0; r < weight.Rows; r++)
        {
            offsets[r] = next;
            if (next == numbers.Length || numbers[next] / weight.Columns != r) continue;
            table.DecodeRow(r, line);
            for (; next < numbers.Length && numbers[next] / weight.Columns == r; next++)
            {
                columns[next] = (int)(numbers[next] % weight.Columns);
                values[next] = weight.Row(r)[columns[next]] - line[columns[next]];
            }
        }
        offsets[^1] = next;
        return new LayeredWeight(new CsrPositions(weight.Rows, weight.Columns, offsets, columns), FloatValues.Of(type, values));
    }

    /// <summary>One row at a time, with the buffers for it.</summary>
    private sealed class Row(int width, int bits)
    {
        private readonly WeightedClusters clusters = new(width, 1 << bits);
        private readonly float[] values = new float[width];
        private readonly double[] shares = new double[width];

        /// <summary>Takes the columns of the row at hand.</summary>
        public int[] Columns { get; } = new int[width];

        /// <summary>Fits the table and finds the code of each weight.</summary>
        /// <returns><c>Σ s_j (w_j − w'_j)²</c> over the weights that are not stored apart.</returns>
        public double Quantize(
            ReadOnlySpan<float> row, ReadOnlySpan<int> columns, HashSet<long> apart, long number, double[] sensitivity, ElementType type,
            Span<float> table, Span<byte> codes)
        {
            var count = 0;
            foreach (var c in columns)
            {
                // Removed weights that are stored all the same have no say in the table.
                if (apart.Contains(number + c) || row[c] == 0) continue;
                (values[count], shares[count]) = (row[c], sensitivity[c]);
                count++;
            }
            clusters.Fit(values.AsSpan(0, count), shares.AsSpan(0, count), table);
            foreach (ref var value in table) value = ElementConversion.Round(type, value);
            var loss = 0.0;
            for (var i = 0; i < columns.Length; i++)
            {
                var c = columns[i];
                codes[i] = (byte)Nearest(table, row[c]);
                if (apart.Contains(number + c)) continue;
                var error = row[c] - table[codes[i]];
                loss += sensitivity[c] * error * error;
            }
            return loss;
        }

        /// <summary>The nearest of ascending values; of two as near the lower.</summary>
        private static int Nearest(ReadOnlySpan<float> table, float value)
        {
            var best = 0;
            for (var k = 1; k < table.Length; k++)
            {
                if (Math.Abs(value - table[k]) < Math.Abs(value - table[best])) best = k;
            }
            return best;
        }
    }
}
