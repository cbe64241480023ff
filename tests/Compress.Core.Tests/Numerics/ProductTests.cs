using Compress.Core.Numerics;

namespace Compress.Core.Tests.Numerics;

public unsafe class ProductTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(256)]
    public void Kernel_equals_plain_loops_in_every_width(int count)
    {
        var random = new Random(count);
        var a = Values(random, count * 32);
        var b = Values(random, count * 32);
        var start = Values(random, 8 * 40);
        foreach (var sign in new[] { 1, -1 })
        {
            var expected = start.Select(v => (double)v).ToArray();
            for (var i = 0; i < 8; i++)
            {
                for (var j = 0; j < 32; j++)
                {
                    for (var k = 0; k < count; k++) expected[i * 40 + j] += sign * (double)a[k * 32 + 16 + i] * b[k * 32 + j];
                }
            }
            var fast = (float[])start.Clone();
            var portable = (float[])start.Clone();
            fixed (float* pa = a, pb = b, pf = fast, pp = portable)
            {
                if (sign > 0) ProductKernel.Add(pa + 16, pb, count, pf, 40);
                else ProductKernel.Subtract(pa + 16, pb, count, pf, 40);
                ProductKernel.Portable(pa + 16, pb, count, pp, 40, sign);
            }
            for (var i = 0; i < expected.Length; i++)
            {
                Assert.Equal(expected[i], fast[i], 2e-6 * Math.Sqrt(count) + 1e-6);
                Assert.Equal(expected[i], portable[i], 2e-6 * Math.Sqrt(count) + 1e-6);
            }
        }
    }

    [Theory]
    [InlineData(5, 3, 3)]
    [InlineData(70, 33, 33)]
    [InlineData(300, 130, 41)]
    [InlineData(600, 300, 300)]
    public void Symmetric_product_equals_plain_loops_right_of_the_diagonal(int terms, int columns, int rows)
    {
        var random = new Random(terms);
        var p = Values(random, terms * columns);
        var c = new float[rows * columns];
        using var panels = new ColumnPanels(terms, columns);
        fixed (float* pp = p, pc = c)
        {
            panels.Fill(pp, columns, terms, columns);
            SymmetricProduct.AddUpper(panels, pc, columns, rows);
        }
        for (var i = 0; i < rows; i++)
        {
            for (var j = i; j < columns; j++)
            {
                var exact = Enumerable.Range(0, terms).Sum(k => (double)p[k * columns + i] * p[k * columns + j]);
                Assert.Equal(exact, c[i * columns + j], 1e-6 * terms);
            }
        }
    }

    [Fact]
    public void Widening_bf16_is_exact()
    {
        var bits = Enumerable.Range(0, 3 * 50).Select(i => (ushort)(i * 431)).ToArray();
        using var panels = new ColumnPanels(3, 50);
        fixed (ushort* source = bits) panels.FillBFloat16(source, 50, 3, 50);
        for (var r = 0; r < 3; r++)
        {
            for (var c = 0; c < 50; c++)
                Assert.Equal((uint)bits[r * 50 + c] << 16, BitConverter.SingleToUInt32Bits(panels.Column(c)[r * 32]));
        }
        Assert.Equal(0, panels.Column(50)[0]);
    }

    private static float[] Values(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() * 2 - 1))];
}
