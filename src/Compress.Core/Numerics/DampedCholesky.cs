using Compress.Core.Methods;
using Compress.Core.Statistics;
using static TorchSharp.torch;

namespace Compress.Core.Numerics;

/// <summary>How much may be added to a Hessian's diagonal.</summary>
/// <param name="First">Share of the mean diagonal that is added at first.</param>
/// <param name="Last">Share beyond which damping is not raised.</param>
public readonly record struct DampingPolicy(double First, double Last = 1);

/// <summary>Factorises a Hessian whatever it takes: a ladder of remedies, of which the one that was needed is reported.</summary>
/// <remarks>
/// <list type="number">
/// <item>f32 with the damping asked for;</item>
/// <item>ten times as much damping, again and again up to the policy's limit;</item>
/// <item>double precision with the damping asked for;</item>
/// <item>eigenvalues clipped from below, in double precision;</item>
/// <item>none: the caller rounds to nearest.</item>
/// </list>
/// Inputs that were always zero get the diagonal 1, as in the published code of GPTQ and SparseGPT, before the mean is taken.
/// </remarks>
public static unsafe class DampedCholesky
{
    /// <summary>Least damping that is tried where none was asked for and none was too little.</summary>
    private const double LeastRaised = 1e-4;

    /// <summary>Eigenvalues below this share of the largest are raised to it.</summary>
    private const double LeastEigenvalue = 1e-6;

    /// <summary>In double precision, a squared pivot below this share of its diagonal is rounding error.</summary>
    private const double LeastPivot = 1e-13;

    /// <summary>Factorises.</summary>
    /// <param name="hessian">The Hessian; borrowed, unchanged.</param>
    /// <param name="activationOrder">True: inputs with the largest diagonal first (of equal ones the first); false: as they are.</param>
    /// <param name="policy">Damping.</param>
    /// <param name="factor">The factor, owned by the caller; null on the last rung.</param>
    /// <returns>How it went.</returns>
    public static FactorReport Factor(Hessian hessian, bool activationOrder, DampingPolicy policy, out FeedbackFactor? factor)
    {
        factor = null;
        using var sum = hessian.Sum();
        var n = sum.Rows;
        var (diagonal, dead, mean) = Diagonal(sum, hessian.Scale);
        var deadColumns = dead.Count(d => d);
        if (!double.IsFinite(mean)) return new FactorReport(Rung.RoundToNearest, policy.First, deadColumns);
        int[] order = [.. Enumerable.Range(0, n)];
        if (activationOrder) order = [.. order.OrderByDescending(c => diagonal[c])];
        var source = new Source(sum, hessian.Scale, order, diagonal, mean);

        using var work = HostMatrix.Empty(n, n);
        var report = Climb(source, policy, work, deadColumns);
        if (report.Rung != Rung.RoundToNearest) factor = new FeedbackFactor(work, order, dead, report);
        return report;
    }

    private static FactorReport Climb(in Source source, DampingPolicy policy, HostMatrix work, int deadColumns)
    {
        for (var damping = policy.First; ; damping = Math.Max(LeastRaised, damping * 10))
        {
            if (damping > policy.First && damping > policy.Last * (1 + 1e-9)) break;
            source.Fill(work, damping);
            if (Cholesky.Factor(work) < 0)
                return new FactorReport(damping > policy.First ? Rung.Damping : Rung.None, damping, deadColumns);
        }
        using var scope = NewDisposeScope();
        using var ignored = no_grad();
        source.Fill(work, policy.First);
        if (FactorDouble(Symmetric(work), work)) return new FactorReport(Rung.DoublePrecision, policy.First, deadColumns);
        source.Fill(work, policy.First);
        if (FactorDouble(Clipped(Symmetric(work)), work)) return new FactorReport(Rung.EigenvalueClipping, policy.First, deadColumns);
        return new FactorReport(Rung.RoundToNearest, policy.First, deadColumns);
    }

    private static (float[] Values, bool[] Dead, double Mean) Diagonal(HostMatrix sum, float scale)
    {
        var values = new float[sum.Rows];
        var dead = new bool[sum.Rows];
        var total = 0.0;
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = sum.Row(i)[i] * scale;
            dead[i] = values[i] == 0;
            if (dead[i]) values[i] = 1;
            total += values[i];
        }
        return (values, dead, total / values.Length);
    }

    /// <summary>The filled matrix in double precision, symmetric.</summary>
    private static Tensor Symmetric(HostMatrix work)
    {
        var n = work.Rows;
        var values = new double[n * (long)n];
        for (var i = 0; i < n; i++)
        {
            var row = work.Row(i);
            for (var j = i; j < n; j++) values[i * (long)n + j] = values[j * (long)n + i] = row[j];
        }
        return tensor(values, [n, n], ScalarType.Float64);
    }

    private static Tensor Clipped(Tensor matrix)
    {
        try
        {
            var (eigenvalues, vectors) = linalg.eigh(matrix);
            var floor = Math.Max(eigenvalues.max().item<double>() * LeastEigenvalue, double.Epsilon);
            return (vectors * eigenvalues.clamp_min(floor)).mm(vectors.t());
        }
        catch (System.Runtime.InteropServices.ExternalException)
        {
            // LAPACK gave up: the unclipped matrix fails the next test as well, and the last rung is reached.
            return matrix;
        }
    }

    private static bool FactorDouble(Tensor matrix, HostMatrix work)
    {
        var (lower, info) = linalg.cholesky_ex(matrix);
        if (info.item<int>() != 0) return false;
        var n = work.Rows;
        var pivots = lower.diagonal().square() / matrix.diagonal();
        if (!(pivots.min().item<double>() > LeastPivot)) return false;
        using var upper = lower.t().to(ScalarType.Float32).contiguous();
        using var from = HostMatrix.Of(upper);
        for (var i = 0; i < n; i++) from.Row(i).CopyTo(work.Row(i));
        return true;
    }

    /// <summary>Where a matrix to factorise comes from: the Hessian, reversed in the order of steps.</summary>
    private readonly record struct Source(HostMatrix Sum, float Scale, int[] Order, float[] Diagonal, double Mean)
    {
        /// <summary>Writes the upper triangle of the reversed, damped Hessian.</summary>
        public void Fill(HostMatrix work, double damping)
        {
            var (sum, scale, order, diagonal) = (Sum, Scale, Order, Diagonal);
            var added = (float)(damping * Mean);
            var n = order.Length;
            Workers.For(n, (long)n * n / 4, s =>
            {
                var column = order[n - 1 - s];
                var from = sum.Row(column);
                var to = work.Row(s);
                for (var t = s; t < n; t++) to[t] = scale * from[order[n - 1 - t]];
                to[s] = diagonal[column] + added;
            });
        }
    }
}
