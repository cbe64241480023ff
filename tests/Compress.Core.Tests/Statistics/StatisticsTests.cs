using Compress.Core.Statistics;
using TorchSharp;
using static TorchSharp.torch;

namespace Compress.Core.Tests.Statistics;

public class StatisticsTests
{
    [Theory]
    [InlineData(37, 5)]
    [InlineData(3000, 70)]
    public void Column_norms_equal_the_published_running_mean(int tokens, int features)
    {
        using var scope = NewDisposeScope();
        var x = randn(tokens, features, generator: new Generator(1)) * 3;
        var statistic = new ColumnNorms(features, CPU);
        var running = new double[features];
        var n = 0;
        foreach (var (from, count, sequences) in new[] { (0, tokens / 3, 2), (tokens / 3, tokens - tokens / 3, 5) })
        {
            var batch = x.narrow(0, from, count);
            statistic.Accumulate(batch, sequences);
            var values = batch.contiguous().data<float>().ToArray();
            for (var j = 0; j < features; j++)
            {
                var squares = Enumerable.Range(0, count).Sum(t => (double)values[t * features + j] * values[t * features + j]);
                running[j] = running[j] * n / (n + sequences) + squares / (n + sequences);
            }
            n += sequences;
        }
        var got = statistic.ScalerRow().data<float>().ToArray();
        for (var j = 0; j < features; j++) Assert.InRange(got[j], running[j] * (1 - 2e-6), running[j] * (1 + 2e-6));
        statistic.Dispose();
    }

    [Fact]
    public void Column_norms_of_bf16_inputs_do_not_lose_digits()
    {
        using var scope = NewDisposeScope();
        var x = (randn(5000, 3, generator: new Generator(2)) + 1).to(ScalarType.BFloat16);
        using var statistic = new ColumnNorms(3, CPU);
        statistic.Accumulate(x, 1);
        var exact = x.to(ScalarType.Float64).square().sum(dim: 0).data<double>().ToArray();
        var got = statistic.ScalerRow().data<float>().ToArray();
        for (var j = 0; j < 3; j++) Assert.InRange(got[j], exact[j] * (1 - 1e-6), exact[j] * (1 + 1e-6));
    }

    [Theory]
    [InlineData(50, 7, ScalarType.Float32)]
    [InlineData(300, 1100, ScalarType.Float32)]
    [InlineData(2500, 96, ScalarType.BFloat16)]
    public void Hessian_equals_two_over_n_times_the_second_moment(int tokens, int features, ScalarType type)
    {
        using var scope = NewDisposeScope();
        var x = randn(tokens, features, generator: new Generator(3)).to(type);
        using var statistic = new Hessian(features, CPU);
        statistic.Accumulate(x.narrow(0, 0, 20), 1);
        statistic.Accumulate(x.narrow(0, 20, tokens - 20), 3);
        var f64 = x.to(ScalarType.Float64);
        var expected = f64.t().mm(f64).mul(2.0 / 4);
        var got = statistic.ToMatrix();
        Assert.Equal(ScalarType.Float32, got.dtype);
        Assert.Equal(0, (got - got.t()).abs().max().item<float>());
        // f32 sums: the error of an element is bounded by the scale of its row and column.
        var scale = expected.diagonal().sqrt();
        var relative = (got.to(ScalarType.Float64) - expected).abs().div(scale.unsqueeze(1)).div(scale.unsqueeze(0)).max().item<double>();
        Assert.InRange(relative, 0, 2e-6);
    }

    [Fact]
    public void Tensors_return_to_their_count()
    {
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (var x = randn(10, 4))
        {
            using var norms = new ColumnNorms(4, CPU);
            norms.Accumulate(x, 1);
            norms.ScalerRow().Dispose();
            using var hessian = new Hessian(4, CPU);
            hessian.Accumulate(x, 1);
            hessian.ToMatrix().Dispose();
        }
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
