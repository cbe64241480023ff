using Compress.Core.Statistics;
using static TorchSharp.torch;

namespace Compress.Core.Pipeline;

/// <summary>What makes good the removed inputs of a linear layer.</summary>
/// <param name="Weight">Weight on the remaining inputs, f32 <c>[out, kept]</c>.</param>
/// <param name="Bias">What is added to the bias, f32 <c>[out]</c>.</param>
/// <param name="Error">Relative squared error of the output around its mean, where it is known.</param>
internal sealed record OutputCompensation(Tensor Weight, Tensor Bias, double? Error)
{
    /// <summary>Damping of the covariance, as a share of its mean diagonal: remaining inputs may be collinear.</summary>
    private const double Damping = 1e-4;

    /// <summary>The removed inputs' mean contribution as a bias: <c>W[:, P] · E[x_P]</c>.</summary>
    /// <remarks>An et al. 2024, "FLAP", arXiv:2312.11983, section 3.4.</remarks>
    /// <param name="weight">Borrowed original weight, f32 <c>[out, in]</c>.</param>
    /// <param name="kept">Inputs that remain, ascending.</param>
    /// <param name="moments">Moments of all inputs.</param>
    public static OutputCompensation OfMeans(Tensor weight, int[] kept, ChannelMoments moments)
    {
        using var scope = NewDisposeScope();
        var (remaining, gone) = Split(weight, kept);
        var bias = weight.to(ScalarType.Float64).index_select(1, gone).mv(moments.Mean().cpu().index_select(0, gone));
        return Moved(weight.index_select(1, remaining), bias, null);
    }

    /// <summary>
    /// The best affine map of the remaining inputs: <c>W' = W C[:, S] C[S, S]⁻¹</c>, bias <c>W μ − W' μ_S</c>, with the inputs' mean μ and
    /// covariance C, in f64.
    /// </summary>
    /// <param name="weight">Borrowed original weight, f32 <c>[out, in]</c>.</param>
    /// <param name="kept">Inputs that remain, ascending.</param>
    /// <param name="moments">Moments of all inputs.</param>
    /// <param name="hessian">Their second moments.</param>
    public static OutputCompensation LeastSquares(Tensor weight, int[] kept, ChannelMoments moments, Hessian hessian)
    {
        using var scope = NewDisposeScope();
        var (remaining, _) = Split(weight, kept);
        var wide = weight.to(ScalarType.Float64);
        var mean = moments.Mean().cpu();
        // The Hessian is 2/n of the sum over tokens with n sequences; its trace gives the factor to means over tokens.
        var second = hessian.ToMatrix().to(ScalarType.Float64);
        var meanSquares = moments.MeanSquare().cpu().sum().item<double>();
        var trace = second.trace().item<double>();
        if (trace <= 0) return Moved(weight.index_select(1, remaining), zeros(weight.shape[0], ScalarType.Float64), null);
        var covariance = second * (meanSquares / trace) - mean.outer(mean);
        var toKept = covariance.index_select(1, remaining);
        var among = toKept.index_select(0, remaining);
        var damped = among + eye(kept.Length, dtype: ScalarType.Float64) * (among.diagonal().mean() * Damping + double.Epsilon);
        var cross = wide.matmul(toKept);
        var refit = linalg.solve(damped, cross.t()).t();
        var total = (wide.matmul(covariance) * wide).sum().item<double>();
        var explained = 2 * (refit * cross).sum().item<double>() - (refit.matmul(among) * refit).sum().item<double>();
        var masked = wide.index_select(1, remaining);
        var withoutRefit = 2 * (masked * cross).sum().item<double>() - (masked.matmul(among) * masked).sum().item<double>();
        // Where calibration cannot tell the inputs apart, the original weights are the better guess.
        if (!double.IsFinite(explained) || explained < withoutRefit) (refit, explained) = (masked, withoutRefit);
        var bias = wide.mv(mean) - refit.mv(mean.index_select(0, remaining));
        return Moved(refit.to(ScalarType.Float32), bias, total > 0 ? Math.Max(0, total - explained) / total : 0);
    }

    private static (Tensor Kept, Tensor Gone) Split(Tensor weight, int[] kept)
    {
        var gone = Enumerable.Range(0, (int)weight.shape[1]).Except(kept).ToArray();
        return (tensor(kept, ScalarType.Int64), tensor(gone, ScalarType.Int64));
    }

    private static OutputCompensation Moved(Tensor weight, Tensor bias, double? error) => new(
        weight.contiguous().MoveToOuterDisposeScope(), bias.to(ScalarType.Float32).MoveToOuterDisposeScope(), error);
}
