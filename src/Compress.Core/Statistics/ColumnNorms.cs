using static TorchSharp.torch;

namespace Compress.Core.Statistics;

/// <summary>
/// Squared norm of each input feature: <c>‖X_j‖² / n</c> over all calibration tokens, n = sequences. What Wanda's code calls
/// <c>scaler_row</c>.
/// </summary>
/// <remarks>
/// Sun et al. 2023, arXiv:2306.11695, section 3. The running mean of the published code (<c>s ← s·n/(n+b) + ‖X_j‖²/(n+b)</c>) is the
/// sum divided by the sequences seen; here the sum is kept in f64 and chunks of tokens are reduced in f32, so that the order of
/// batches cannot be seen in the result and a long calibration loses no digits.
/// </remarks>
public sealed class ColumnNorms : Statistic
{
    private const int TokensPerChunk = 1024;

    private readonly Tensor sum;
    private long sequences;

    /// <summary>An empty statistic.</summary>
    /// <param name="features">Input features.</param>
    /// <param name="device">Where inputs will lie.</param>
    public ColumnNorms(int features, Device device) =>
        sum = zeros(features, ScalarType.Float64, device).DetachFromDisposeScope();

    /// <inheritdoc/>
    public override void Accumulate(Tensor x, int sequences)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sequences);
        using var scope = NewDisposeScope();
        using var ignored = no_grad();
        foreach (var chunk in x.split(TokensPerChunk, 0))
        {
            var f32 = chunk.to(ScalarType.Float32);
            sum.add_(f32.mul(f32).sum(dim: 0).to(ScalarType.Float64));
        }
        this.sequences += sequences;
    }

    /// <summary><c>scaler_row</c>: <c>‖X_j‖² / n</c>.</summary>
    /// <returns>Owned f32 tensor <c>[in]</c>; zeros before the first batch.</returns>
    public Tensor ScalerRow()
    {
        using var mean = sum.div(Math.Max(1, sequences));
        return mean.to(ScalarType.Float32);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) sum.Dispose();
    }
}
