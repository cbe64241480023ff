using Compress.Formats.Gguf;
using Compress.Runtime.Kernels;

namespace Compress.Runtime.Tests;

public unsafe class CodecTests
{
    private const int Rows = 7, Columns = 512;

    public static TheoryData<GgmlType> Types => [.. Enum.GetValues<GgmlType>()];

    /// <summary>The exact decode in Compress.Formats (proven against llama.cpp) is the reference.</summary>
    [Theory]
    [MemberData(nameof(Types))]
    public void Decodes_the_same_bits_as_the_reference(GgmlType type)
    {
        var (bytes, expected) = RandomWeights.Make(type, Rows, Columns);
        var actual = new float[expected.Length];
        fixed (byte* w = bytes)
        fixed (float* to = actual)
        {
            Codecs.For(type).DecodeRows(w, Columns, 0, Rows, to);
        }
        Assert.Equal(expected, actual);
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Products_with_a_vector_and_a_matrix_equal_plain_sums(GgmlType type)
    {
        const int Tokens = 6;
        var (bytes, weights) = RandomWeights.Make(type, Rows, Columns);
        var random = new Random(5);
        var x = Enumerable.Range(0, Tokens * Columns).Select(_ => (float)(random.NextDouble() - 0.5)).ToArray();
        float[] one = new float[Rows], many = new float[Tokens * Rows], panel = new float[4 * Columns];
        fixed (byte* w = bytes)
        fixed (float* xs = x, y = one, ys = many, scratch = panel)
        {
            Codecs.For(type).Vector(w, Columns, xs, y, 0, Rows);
            Codecs.For(type).Matrix(w, Columns, xs, Columns, Tokens, ys, Rows, 0, Rows, scratch);
        }
        for (var t = 0; t < Tokens; t++)
        {
            for (var r = 0; r < Rows; r++)
            {
                double sum = 0, size = 0;
                for (var c = 0; c < Columns; c++)
                {
                    var product = (double)weights[r * Columns + c] * x[t * Columns + c];
                    sum += product;
                    size += Math.Abs(product);
                }
                Assert.InRange(many[t * Rows + r], sum - 1e-6 * size, sum + 1e-6 * size);
                if (t == 0) Assert.InRange(one[r], sum - 1e-6 * size, sum + 1e-6 * size);
            }
        }
    }
}
