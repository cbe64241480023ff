using Compress.Formats.Gguf;
using Compress.Runtime.Kernels.Panels;
using Compress.Runtime.Model;
using Compress.Runtime.Threading;

namespace Compress.Runtime.Tests;

/// <summary>Products with 8-bit activations against exact decode and exact sums over the same rounded activations.</summary>
public unsafe class PanelTests
{
    private const int Columns = 768;

    public static TheoryData<GgmlType, int, int> Cases()
    {
        var cases = new TheoryData<GgmlType, int, int>();
        foreach (var type in Enum.GetValues<GgmlType>().Where(t => GgufPanel.For(t) is not null))
        {
            foreach (var (rows, tokens) in new[] { (1, 1), (16, 1), (37, 1), (37, 2), (16, 4), (37, 5), (33, 12), (5, 13), (37, 65) }) cases.Add(type, rows, tokens);
        }
        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Products_equal_sums_over_the_exact_decode(GgmlType type, int rows, int tokens)
    {
        var (bytes, weights) = RandomWeights.Make(type, rows, Columns);
        var random = new Random(rows + tokens);
        var x = Enumerable.Range(0, tokens * Columns).Select(_ => (float)(random.NextDouble() - 0.5)).ToArray();
        var y = Product(type, bytes, rows, x, tokens);
        for (var t = 0; t < tokens; t++)
        {
            var rounded = Rounded(x.AsSpan(t * Columns, Columns));
            for (var r = 0; r < rows; r++)
            {
                double sum = 0, size = 0;
                for (var c = 0; c < Columns; c++)
                {
                    var product = (double)weights[r * Columns + c] * rounded[c];
                    sum += product;
                    size += Math.Abs(product);
                }
                Assert.InRange(y[t * rows + r], sum - 1e-5 * size, sum + 1e-5 * size);
            }
        }
    }

    [Fact]
    public void Zero_activations_give_the_bias()
    {
        var (bytes, _) = RandomWeights.Make(GgmlType.Q4_K, 3, Columns);
        Assert.Equal([0, 0, 0], Product(GgmlType.Q4_K, bytes, 3, new float[Columns], 1));
    }

    private static float[] Product(GgmlType type, byte[] bytes, int rows, float[] x, int tokens)
    {
        using var pool = new WorkerPool(2);
        using var input = new QuantizedInput(tokens, Columns);
        var y = new float[tokens * rows];
        using var scratch = new Scratch(PackedMatrix.ScratchFloats(Columns));
        fixed (byte* w = bytes)
        fixed (float* xs = x, ys = y)
        {
            using var pages = new Pages();
            var matrix = PanelMatrix.Pack(new GgufSource(GgufPanel.For(type)!, rows, Columns, w, (nint)type.RowBytes(Columns)), pages, pool);
            input.Begin(tokens, Columns);
            for (var tile = 0; tile < input.Tiles; tile++) input.Quantize(xs, Columns, tile);
            matrix.Multiply(input, 0, matrix.Panels, ys, rows, null, scratch.Floats);
        }
        return y;
    }

    /// <summary>The definition of 8-bit activations, written plainly.</summary>
    private static double[] Rounded(ReadOnlySpan<float> x)
    {
        var result = new double[x.Length];
        for (var b = 0; b < x.Length; b += 32)
        {
            var largest = 0f;
            foreach (var value in x.Slice(b, 32)) largest = Math.Max(largest, Math.Abs(value));
            for (var i = b; i < b + 32; i++) result[i] = MathF.Round(x[i] * (127 / largest)) * (double)(largest / 127);
        }
        return result;
    }
}
