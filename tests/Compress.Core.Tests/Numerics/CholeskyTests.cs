using Compress.Core.Methods;
using Compress.Core.Numerics;
using Compress.Core.Statistics;
using MathNet.Numerics.LinearAlgebra;
using static TorchSharp.torch;

namespace Compress.Core.Tests.Numerics;

public unsafe class CholeskyTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(31)]
    [InlineData(32)]
    [InlineData(33)]
    [InlineData(100)]
    [InlineData(327)]
    [InlineData(640)]
    public void Upper_factor_equals_an_independent_one(int n)
    {
        using var scope = NewDisposeScope();
        var x = randn(2 * n + 5, n, generator: new Generator((ulong)n));
        var h = x.t().mm(x) / n + eye(n) * 0.01;
        using var matrix = HostMatrix.Of(h.clone());
        Assert.Equal(-1, Cholesky.Factor(matrix));
        var expected = Double(h).Cholesky().Factor;
        for (var i = 0; i < n; i++)
        {
            for (var j = i; j < n; j++) Assert.Equal(expected[j, i], matrix.Row(i)[j], 2e-5);
        }
    }

    [Theory]
    [InlineData(20, 50)]
    [InlineData(300, 90)]
    public void A_matrix_without_full_rank_is_refused(int n, int tokens)
    {
        using var scope = NewDisposeScope();
        var x = randn(tokens, n, generator: new Generator(1));
        x[.., n / 2] = x[.., 3];
        using var matrix = HostMatrix.Of(x.t().mm(x));
        Assert.InRange(Cholesky.Factor(matrix), 3, n - 1);
    }

    [Theory]
    [InlineData(40, false)]
    [InlineData(40, true)]
    [InlineData(150, true)]
    public void Feedback_factor_is_the_published_inverse_factor_in_another_form(int n, bool activationOrder)
    {
        using var scope = NewDisposeScope();
        using var hessian = Gathered(randn(3 * n, n, generator: new Generator(2)) * linspace(0.5, 2, n));
        var report = DampedCholesky.Factor(hessian, activationOrder, new DampingPolicy(0.01), out var factor);
        using var owned = factor;
        Assert.Equal(new FactorReport(Rung.None, 0.01, 0), report);

        // The published way, in double: Cholesky factor U of the inverse, H⁻¹ = UᵀU.
        var h = Double(hessian.ToMatrix());
        var order = Enumerable.Range(0, n).ToArray();
        if (activationOrder) order = [.. order.OrderByDescending(c => h[c, c])];
        Assert.Equal(order, factor!.Order);
        var damped = Matrix<double>.Build.Dense(n, n, (i, j) => h[order[i], order[j]]);
        damped += Matrix<double>.Build.DenseIdentity(n) * (0.01 * damped.Diagonal().Average());
        var u = damped.Inverse().Cholesky().Factor.Transpose();
        var unit = Matrix<double>.Build.DenseDiagonal(n, n, i => 1 / u[i, i]) * u;
        var feedback = unit.Inverse();
        for (var j = 0; j < n; j++)
        {
            Assert.Equal(1 / u[j, j], factor.Diagonal[j], 1e-4 / u[j, j]);
            for (var k = 0; k < j; k++) Assert.Equal(feedback[k, j], factor.Column(j)[k * 32], 1e-4);
            for (var k = j; k < (j / 32 + 1) * 32; k++) Assert.Equal(0, factor.Column(j)[k * 32]);
        }
    }

    [Fact]
    public void Dead_inputs_get_the_diagonal_one()
    {
        using var scope = NewDisposeScope();
        var x = randn(100, 12, generator: new Generator(3));
        x[.., 4] = 0;
        using var hessian = Gathered(x);
        var report = DampedCholesky.Factor(hessian, false, new DampingPolicy(0.01), out var factor);
        using var owned = factor;
        Assert.Equal((Rung.None, 1), (report.Rung, report.DeadColumns));
        Assert.Equal(Enumerable.Range(0, 12).Select(i => i == 4), factor!.Dead);
        var mean = hessian.ToMatrix().diagonal().sum().add(1).item<float>() / 12;
        Assert.Equal(MathF.Sqrt(1 + 0.01f * mean), factor.Diagonal[4], 1e-5);
        for (var k = 0; k < 4; k++) Assert.Equal(0, factor.Column(4)[k * 32]);
    }

    [Fact]
    public void Rank_deficient_without_damping_gets_some()
    {
        using var scope = NewDisposeScope();
        using var hessian = Gathered(randn(5, 40, generator: new Generator(4)));
        var report = DampedCholesky.Factor(hessian, false, new DampingPolicy(0), out var factor);
        factor?.Dispose();
        Assert.Equal(Rung.Damping, report.Rung);
        Assert.InRange(report.Damping, 1e-4, 1e-2);
    }

    [Fact]
    public void Too_ill_conditioned_for_single_is_done_in_double()
    {
        using var scope = NewDisposeScope();
        // Whole numbers, so that H is exact in f32; two inputs differ by 1 at one of 200 tokens.
        var x = (rand(200, 30, generator: new Generator(5)) * 460 - 230).round();
        x[.., 1] = x[.., 0];
        x[7, 1] += 1;
        using var hessian = Gathered(x);
        var report = DampedCholesky.Factor(hessian, false, new DampingPolicy(0, 0), out var factor);
        factor?.Dispose();
        Assert.Equal(Rung.DoublePrecision, report.Rung);
    }

    [Fact]
    public void Without_any_damping_allowed_eigenvalues_are_clipped()
    {
        using var scope = NewDisposeScope();
        using var hessian = Gathered(randn(5, 40, generator: new Generator(6)));
        var report = DampedCholesky.Factor(hessian, false, new DampingPolicy(0, 0), out var factor);
        using var owned = factor;
        Assert.Equal(Rung.EigenvalueClipping, report.Rung);
        Assert.All(factor!.Diagonal, d => Assert.True(d > 0 && float.IsFinite(d)));
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(3e38f)]
    public void A_hessian_that_is_no_matrix_of_numbers_gives_no_factor(float value)
    {
        using var scope = NewDisposeScope();
        var x = randn(20, 10, generator: new Generator(7));
        x[3, 4] = value;
        using var hessian = Gathered(x);
        Assert.Equal(Rung.RoundToNearest, DampedCholesky.Factor(hessian, true, new DampingPolicy(0.01), out var factor).Rung);
        Assert.Null(factor);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(64)]
    public void One_token_and_equal_tokens_need_no_more_than_the_usual_damping(int tokens)
    {
        using var scope = NewDisposeScope();
        using var hessian = Gathered(randn(1, 50, generator: new Generator(8)).repeat(tokens, 1));
        Assert.Equal(Rung.None, DampedCholesky.Factor(hessian, false, new DampingPolicy(0.01), out var factor).Rung);
        factor!.Dispose();
    }

    private static Hessian Gathered(Tensor x)
    {
        var hessian = new Hessian((int)x.shape[1], CPU);
        hessian.Accumulate(x, 1);
        return hessian;
    }

    private static Matrix<double> Double(Tensor matrix)
    {
        using var here = HostMatrix.Of(matrix);
        return Matrix<double>.Build.Dense(here.Rows, here.Columns, (i, j) => here.Row(i)[j]);
    }
}
