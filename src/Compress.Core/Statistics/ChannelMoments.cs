using static TorchSharp.torch;

namespace Compress.Core.Statistics;

/// <summary>Mean and variance of each input feature over all calibration tokens.</summary>
/// <remarks>
/// Chunks of tokens are centred on their own mean and merged in f64 (Chan, Golub and LeVeque 1983), so that a feature whose mean is large
/// beside its fluctuation loses no digits.
/// </remarks>
public sealed class ChannelMoments : Statistic
{
    private const int TokensPerChunk = 1024;

    private readonly Tensor mean, squares;

    /// <summary>An empty statistic.</summary>
    /// <param name="features">Input features.</param>
    /// <param name="device">Where inputs will lie.</param>
    public ChannelMoments(int features, Device device)
    {
        mean = zeros(features, ScalarType.Float64, device).DetachFromDisposeScope();
        squares = zeros(features, ScalarType.Float64, device).DetachFromDisposeScope();
    }

    /// <summary>Tokens seen.</summary>
    public long Tokens { get; private set; }

    /// <inheritdoc/>
    public override void Accumulate(Tensor x, int sequences)
    {
        using var scope = NewDisposeScope();
        using var ignored = no_grad();
        foreach (var chunk in x.split(TokensPerChunk, 0))
        {
            var count = chunk.shape[0];
            if (count == 0) continue;
            var f32 = chunk.to(ScalarType.Float32);
            var chunkMean = f32.sum(0, type: ScalarType.Float64) / count;
            var centred = f32 - chunkMean.to(ScalarType.Float32);
            // What rounding the mean to f32 leaves, so that the sum of squares is around the exact one.
            var rest = centred.sum(0, type: ScalarType.Float64) / count;
            var chunkSquares = (centred * centred).sum(0, type: ScalarType.Float64) - rest * rest * count;
            var delta = chunkMean - mean;
            var total = Tokens + count;
            squares.add_(chunkSquares).add_(delta * delta * ((double)Tokens * count / total));
            mean.add_(delta * ((double)count / total));
            Tokens = total;
        }
    }

    /// <summary>Mean of each feature.</summary>
    /// <returns>Owned f64 tensor <c>[in]</c>; zeros before the first batch.</returns>
    public Tensor Mean() => mean.clone();

    /// <summary>Unbiased variance of each feature.</summary>
    /// <returns>Owned f64 tensor <c>[in]</c>; zeros before the second token.</returns>
    public Tensor Variance() => squares / Math.Max(1, Tokens - 1);

    /// <summary>Mean square of each feature.</summary>
    /// <returns>Owned f64 tensor <c>[in]</c>.</returns>
    public Tensor MeanSquare()
    {
        using var scope = NewDisposeScope();
        return (squares / Math.Max(1, Tokens) + mean * mean).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (!disposing) return;
        mean.Dispose();
        squares.Dispose();
    }
}
