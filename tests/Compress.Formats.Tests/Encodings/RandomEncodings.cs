using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using Compress.Formats.Encodings.Positions;
using Compress.Formats.Encodings.Values;

namespace Compress.Formats.Tests.Encodings;

/// <summary>Random weights of every structure and kind of value, with what they mean written out plainly.</summary>
internal static class RandomEncodings
{
    public static readonly string[] Structures = ["dense", "bitmap", "csr", "1:4", "2:4", "5:7"];

    public static readonly string[] Kinds =
        ["f32", "f16", "bf16", "int2", "int3", "int3f", "int4", "int4f", "int4z", "int5", "int6", "int8", "int8z", "int4o", "table2", "table3", "table4", "planes"];

    /// <summary>Odd rows and columns, short last groups, one row, one column.</summary>
    public static readonly (int Rows, int Columns)[] Shapes = [(1, 1), (3, 8), (5, 37), (17, 100), (2, 257)];

    /// <summary>A weight and its dense values.</summary>
    public static (LayeredWeight Weight, float[] Expected) Make(string structure, string kind, int rows, int columns, int seed)
    {
        var random = new Random(seed);
        var positions = Positions(structure, rows, columns, random);
        var (values, value) = Values(kind, positions, random);
        var expected = new float[rows * columns];
        var (line, number) = (new int[columns], 0);
        for (var r = 0; r < rows; r++)
        {
            var count = positions.Read(r, line);
            for (var i = 0; i < count; i++) expected[r * columns + line[i]] = value(r, line[i], number++);
        }
        return (new LayeredWeight(positions, values), expected);
    }

    public static WeightPositions Positions(string structure, int rows, int columns, Random random)
    {
        // Some rows are empty, some full.
        var kept = Enumerable.Range(0, rows * columns).Select(i => (i / columns % 3) switch { 0 => random.Next(3) == 0, 1 => false, _ => true }).ToArray();
        switch (structure)
        {
            case "dense":
                return new DensePositions(rows, columns);
            case "bitmap":
                var width = (columns + 7) / 8;
                var bits = new byte[rows * width];
                for (var i = 0; i < kept.Length; i++) bits[i / columns * width + i % columns / 8] |= (byte)(kept[i] ? 1 << (i % columns % 8) : 0);
                return new BitmapPositions(rows, columns, bits);
            case "csr":
                return new CsrPositions(rows, columns,
                    [.. Enumerable.Range(0, rows + 1).Select(r => kept.Take(r * columns).Count(k => k))],
                    [.. Enumerable.Range(0, kept.Length).Where(i => kept[i]).Select(i => i % columns)]);
            default:
                int n = structure[0] - '0', m = structure[2] - '0';
                var places = new List<byte>();
                for (var r = 0; r < rows; r++)
                {
                    for (var c = 0; c < columns; c += m)
                    {
                        var group = Enumerable.Range(0, Math.Min(m, columns - c)).ToArray();
                        random.Shuffle(group);
                        places.AddRange(group.Take(n).Order().Select(p => (byte)p));
                    }
                }
                return new PeriodicPositions(rows, columns, n, m, [.. places]);
        }
    }

    private static (WeightValues Values, Func<int, int, int, float> Value) Values(string kind, WeightPositions at, Random random)
    {
        int rows = at.Rows, columns = at.Columns, count = at.Count;
        float Half() => (float)(Half)(random.NextDouble() - 0.5);
        if (kind is "f32" or "f16" or "bf16")
        {
            var type = kind == "f32" ? ElementType.F32 : kind == "f16" ? ElementType.F16 : ElementType.BF16;
            var floats = Enumerable.Range(0, count).Select(_ => ElementConversion.Round(type, (float)random.NextDouble() - 0.5f)).ToArray();
            return (FloatValues.Of(type, floats), (_, _, i) => floats[i]);
        }
        if (kind.StartsWith("int", StringComparison.Ordinal))
        {
            var group = kind == "int6" ? columns : 16;
            var grid = GoldenPacking.Random(rows, columns, kind[3] - '0', group, !kind.EndsWith('z'), kind.EndsWith('o'), random.Next());
            if (kind == "int8z") grid.Zeros[^1] = 256;
            if (kind == "int4z") grid.Zeros[0] = 16;
            // Zero points with a fraction, and one of 2^bits.
            if (kind == "int3f") grid = grid with { Symmetric = false, ZeroFraction = 5, Zeros = [.. grid.Zeros.Select((_, i) => i == 0 ? 256 : random.Next(256))] };
            if (kind == "int4f") grid = grid with { Symmetric = false, ZeroFraction = 1, Zeros = [.. grid.Zeros.Select(_ => random.Next(32))] };
            var codes = Enumerable.Range(0, count).Select(_ => (byte)random.Next(1 << grid.Bits)).ToArray();
            return (new IntegerValues(grid, codes), (r, c, i) =>
            {
                var g = r * grid.Groups + (grid.GroupIndex?[c] ?? c / grid.GroupSize);
                return (codes[i] - grid.Zeros[g] / MathF.Pow(2, grid.ZeroFraction)) * grid.Scales[g];
            }
            );
        }
        if (kind == "planes")
        {
            var tables = Enumerable.Range(3, 4).Select(b => Enumerable.Range(0, rows << b).Select(_ => Half()).ToArray()).ToList();
            var six = Enumerable.Range(0, count).Select(_ => (byte)random.Next(64)).ToArray();
            return (new PlaneValues(3, six, tables, ElementType.F16), (r, _, i) => tables[^1][(r << 6) + six[i]]);
        }
        var bits = kind[5] - '0';
        var table = Enumerable.Range(0, rows << bits).Select(_ => Half()).ToArray();
        var indices = Enumerable.Range(0, count).Select(_ => (byte)random.Next(1 << bits)).ToArray();
        return (new TableValues(bits, indices, table, ElementType.F16), (r, _, i) => table[(r << bits) + indices[i]]);
    }
}
