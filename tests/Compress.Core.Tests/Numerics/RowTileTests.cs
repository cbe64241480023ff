using Compress.Core.Numerics;
using Compress.Core.Statistics;
using static TorchSharp.torch;

namespace Compress.Core.Tests.Numerics;

public unsafe class RowTileTests
{
    [Theory]
    [InlineData(5, 20, 0, 0, 7, 19)]
    [InlineData(40, 200, 0, 150, 150, 200)]
    [InlineData(128, 300, 10, 170, 173, 297)]
    [InlineData(33, 64, 3, 4, 9, 10)]
    public void Update_adds_the_product_of_errors_and_factor(int rows, int n, int from, int to, int first, int last)
    {
        using var scope = NewDisposeScope();
        using var hessian = new Hessian(n, CPU);
        hessian.Accumulate(randn(2 * n, n, generator: new Generator(1)), 1);
        DampedCholesky.Factor(hessian, true, new DampingPolicy(0.01), out var factor);
        using var owned = factor;
        using var w = HostMatrix.Of(randn(rows + 3, n, generator: new Generator(2)));
        using var tile = new RowTile(n);
        Assert.Equal(0, tile.Load(w, 3, factor!.Order));

        tile.Update(factor, first, last, from, to);
        for (var r = 0; r < rows; r++)
        {
            for (var j = 0; j < n; j++)
            {
                double expected = w.Row(3 + r)[factor.Order[j]];
                Assert.Equal((float)expected, tile.Error(r / 32, j)[r % 32]);
                for (var k = from; j >= first && j < last && k < to; k++)
                    expected += (double)w.Row(3 + r)[factor.Order[k]] * factor.Column(j)[k * 32];
                Assert.Equal(expected, tile.Weight(r / 32, j)[r % 32], 1e-5);
            }
        }
    }

    [Fact]
    public void Values_that_are_not_finite_load_as_zero_and_are_counted()
    {
        using var scope = NewDisposeScope();
        var w = ones(3, 4);
        w[1, 2] = float.NaN;
        w[2, 0] = float.NegativeInfinity;
        using var source = HostMatrix.Of(w);
        using var tile = new RowTile(4);
        Assert.Equal(2, tile.Load(source, 0, [3, 2, 1, 0]));
        Assert.Equal(0, tile.Weight(0, 1)[1]);
        Assert.Equal(0, tile.Weight(0, 3)[2]);
        Assert.Equal(1, tile.Weight(0, 0)[2]);
        Assert.Equal(0, tile.Weight(0, 0)[3]);
    }
}
