using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using Compress.Formats.Encodings.Positions;
using Compress.Formats.Encodings.Values;
using Compress.Runtime.Kernels.Panels;
using Compress.Runtime.Model;
using Compress.Runtime.Threading;

namespace Compress.Runtime.Tests;

/// <summary>Group-quantized weights in panels against their exact decode, over the same rounded activations.</summary>
public unsafe class GroupPanelTests
{
    public static TheoryData<int, int, int, bool, ElementType, bool, int, int> Cases()
    {
        var cases = new TheoryData<int, int, int, bool, ElementType, bool, int, int>();
        foreach (var bits in new[] { 2, 3, 4, 5, 6, 8 })
        {
            cases.Add(bits, 128, 1280, true, ElementType.F16, false, 37, 1);
            cases.Add(bits, 128, 1280, false, ElementType.BF16, false, 37, 7);
            cases.Add(bits, 64, 200, false, ElementType.F32, false, 5, 1);
            cases.Add(bits, 16, 96, false, ElementType.F16, false, 16, 13);
            cases.Add(bits, 1100, 1100, false, ElementType.F16, false, 3, 2);
            cases.Add(bits, 96, 2080, true, ElementType.F16, false, 17, 1);
            cases.Add(bits, 128, 640, false, ElementType.F16, true, 20, 1);
            cases.Add(bits, 64, 224, true, ElementType.F32, true, 20, 12);
        }
        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Products_equal_sums_over_the_exact_decode(
        int bits, int groupSize, int columns, bool symmetric, ElementType scaleType, bool activationOrder, int rows, int tokens)
    {
        var random = new Random(bits + columns);
        var weight = RandomGroups(random, bits, groupSize, columns, symmetric, scaleType, activationOrder, rows);
        using var pool = new WorkerPool(2);
        using var pages = new Pages();
        RequireProducts(PanelMatrix.Pack(GroupSource.For(weight)!, pages, pool), weight, null, tokens, random);
    }

    [Theory]
    [InlineData(2, 6, 7)]
    [InlineData(3, 5, 1)]
    [InlineData(4, 4, 13)]
    [InlineData(4, 1, 1)]
    public void Zero_points_may_have_fractions(int bits, int fraction, int tokens)
    {
        var random = new Random(bits + fraction);
        var weight = RandomGroups(random, bits, 64, 320, false, ElementType.F16, false, 19) with { ZeroFraction = fraction };
        weight = weight with { Zeros = [.. weight.Zeros.Select(_ => random.Next(1 << (bits + fraction)))] };
        using var pool = new WorkerPool(2);
        using var pages = new Pages();
        RequireProducts(PanelMatrix.Pack(GroupSource.For(weight)!, pages, pool), weight, null, tokens, random);
        // No code of theirs stands for 0.
        Assert.Null(SparsePanelMatrix.Pack(weight, new byte[19 * 40], pages, pool));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Sparse_products_leave_out_what_is_not_kept(
        int bits, int groupSize, int columns, bool symmetric, ElementType scaleType, bool activationOrder, int rows, int tokens)
    {
        var random = new Random(bits + columns);
        var weight = RandomGroups(random, bits, groupSize, columns, symmetric, scaleType, activationOrder, rows);
        var kept = new byte[rows * ((columns + 7) / 8)];
        random.NextBytes(kept);
        if (tokens == 7) Array.Clear(kept);
        if (tokens == 2) Array.Fill(kept, byte.MaxValue);
        using var pool = new WorkerPool(2);
        using var pages = new Pages();
        if (groupSize == 16)
        {
            // Zero points that change within a block of 32 columns have no place in the expansion.
            Assert.Null(SparsePanelMatrix.Pack(weight, kept, pages, pool));
            weight = RandomGroups(random, bits, groupSize, columns, symmetric: true, scaleType, activationOrder, rows);
        }
        RequireProducts(SparsePanelMatrix.Pack(weight, kept, pages, pool)!, weight, kept, tokens, random);
    }

    public static TheoryData<int, int, int, int> TableCases()
    {
        var cases = new TheoryData<int, int, int, int>();
        foreach (var bits in new[] { 2, 3, 4 })
        {
            foreach (var (columns, rows) in new[] { (1280, 37), (200, 5), (31, 16), (2080, 17), (1, 1) })
            {
                foreach (var tokens in new[] { 1, 3, 5, 13 }) cases.Add(bits, columns, rows, tokens);
            }
        }
        return cases;
    }

    [Theory]
    [MemberData(nameof(TableCases))]
    public void Table_products_equal_sums_over_tables_of_8_bits_and_outliers_over_exact_ones(int bits, int columns, int rows, int tokens)
    {
        var random = new Random(bits + columns);
        var tables = Enumerable.Range(0, rows << bits).Select(_ => (float)Math.Pow(random.NextDouble() - 0.5, 3)).ToArray();
        var codes = Enumerable.Range(0, rows * columns).Select(_ => (byte)random.Next(1 << bits)).ToArray();
        var table = new LayeredWeight(new DensePositions(rows, columns), new TableValues(bits, codes, tables, ElementType.F32));
        var at = Enumerable.Range(0, rows * columns).Where(_ => random.Next(20) == 0).ToArray();
        var offsets = Enumerable.Range(0, rows + 1).Select(r => at.Count(i => i < r * columns)).ToArray();
        var outliers = new LayeredWeight(
            new CsrPositions(rows, columns, offsets, [.. at.Select(i => i % columns)]), FloatValues.Of(ElementType.F32, [.. at.Select(_ => random.NextSingle() - 0.5f)]));
        // The same with each row's table rounded to 256 steps between its ends, exactly.
        var rounded = tables.ToArray();
        for (var r = 0; r < rows; r++)
        {
            var line = rounded.AsSpan(r << bits, 1 << bits);
            double least = line.ToArray().Min(), step = (line.ToArray().Max() - least) / 255;
            foreach (ref var value in line) value = (float)(least + step * Math.Round((value - least) / step));
        }
        var twin = new LayeredWeight(table.Positions, new TableValues(bits, codes, rounded, ElementType.F32));
        using var pool = new WorkerPool(2);
        using var pages = new Pages();
        RequireProducts(EncodedPanels.Pack(table, pages, pool)!, twin, null, tokens, random, 1e-6 * columns);
        RequireProducts(EncodedPanels.Pack(new DenseAndSparseWeight(table, outliers), pages, pool)!,
            new DenseAndSparseWeight(twin, outliers), null, tokens, random, 1e-6 * columns);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Outliers_are_added_to_groups_in_any_order(bool activationOrder)
    {
        var random = new Random(5);
        var weight = RandomGroups(random, 4, 32, 200, symmetric: false, ElementType.F32, activationOrder, 20);
        var outliers = new LayeredWeight(
            new CsrPositions(20, 200, [.. Enumerable.Range(0, 21).Select(r => 2 * r)], [.. Enumerable.Range(0, 40).Select(i => i % 2 == 0 ? i : 150 + i)]),
            FloatValues.Of(ElementType.F32, [.. Enumerable.Range(0, 40).Select(i => 1f + i % 3)]));
        using var pool = new WorkerPool(2);
        using var pages = new Pages();
        var sum = new DenseAndSparseWeight(weight, outliers);
        RequireProducts(EncodedPanels.Pack(sum, pages, pool)!, sum, null, 14, random, 1e-3);
    }

    private static void RequireProducts(PackedMatrix matrix, GroupQuantizedWeight weight, byte[]? kept, int tokens, Random random) =>
        // What f32 loses when terms of the size of the largest code cancel.
        RequireProducts(matrix, weight, kept, tokens, random, 6e-8 * (1 << weight.Bits) * weight.Scales.Max() * Math.Sqrt(weight.Columns));

    private static void RequireProducts(PackedMatrix matrix, EncodedWeight weight, byte[]? kept, int tokens, Random random, double rounding)
    {
        int padded = matrix.Columns, columns = weight.Columns, rows = weight.Rows;
        var x = new float[tokens * padded];
        for (var t = 0; t < tokens; t++)
        {
            for (var c = 0; c < columns; c++) x[t * padded + c] = (float)(random.NextDouble() - 0.5);
        }
        var y = new float[tokens * rows];
        using var input = new QuantizedInput(tokens, padded);
        using var scratch = new Scratch(PackedMatrix.ScratchFloats(padded));
        fixed (float* xs = x, ys = y)
        {
            input.Begin(tokens, padded);
            for (var tile = 0; tile < input.Tiles; tile++) input.Quantize(xs, padded, tile, matrix.InputOrder);
            matrix.Multiply(input, 0, matrix.Panels, ys, rows, null, scratch.Floats);
        }
        var decoded = new float[columns];
        for (var r = 0; r < rows; r++)
        {
            weight.DecodeRow(r, decoded);
            for (var c = 0; c < columns && kept is not null; c++)
            {
                if ((kept[r * ((columns + 7) / 8) + c / 8] >> (c % 8) & 1) == 0) decoded[c] = 0;
            }
            for (var t = 0; t < tokens; t++)
            {
                // Rounding to 8 bits moves an activation by 1/254 of its block's largest, which is at most 0.5.
                double sum = 0, bound = 0;
                for (var c = 0; c < columns; c++)
                {
                    sum += (double)decoded[c] * x[t * padded + c];
                    bound += Math.Abs(decoded[c]) * 0.5 / 254;
                }
                Assert.InRange(y[t * rows + r], sum - bound * 1.01 - rounding, sum + bound * 1.01 + rounding);
                // The worst case is never met: errors are independent.
                Assert.InRange(y[t * rows + r], sum - bound * 6 / Math.Sqrt(columns) - rounding, sum + bound * 6 / Math.Sqrt(columns) + rounding);
            }
        }
    }

    private static GroupQuantizedWeight RandomGroups(
        Random random, int bits, int groupSize, int columns, bool symmetric, ElementType scaleType, bool activationOrder, int rows)
    {
        var groups = (columns + groupSize - 1) / groupSize;
        int[]? index = null;
        if (activationOrder)
        {
            index = [.. Enumerable.Range(0, columns).Select(c => c / groupSize)];
            random.Shuffle(index);
        }
        return new GroupQuantizedWeight
        {
            Rows = rows,
            Columns = columns,
            Bits = bits,
            GroupSize = groupSize,
            Symmetric = symmetric,
            ScaleType = scaleType,
            Codes = [.. Enumerable.Range(0, rows * columns).Select(_ => (byte)random.Next(1 << bits))],
            Scales = [.. Enumerable.Range(0, rows * groups).Select(_ => random.Next(1, 100) / 1024f)],
            Zeros = [.. Enumerable.Range(0, rows * groups).Select(_ => symmetric ? 1 << (bits - 1) : random.Next(1 << bits))],
            GroupIndex = index,
        };
    }
}
