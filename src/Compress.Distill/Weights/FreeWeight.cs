using Compress.Distill.Training;
using static TorchSharp.torch;

namespace Compress.Distill.Weights;

/// <summary>A weight that is trained itself; masked entries never change.</summary>
/// <remarks>
/// A masked entry's gradient is zero, so its moments are, so AdamW leaves it at exactly the zero at which it starts: no product with the mask
/// is needed after a step, and rounding cannot revive it.
/// </remarks>
internal sealed class FreeWeight : IWeightMap
{
    private readonly Tensor weight;
    private readonly Tensor? mask;

    /// <param name="name">Name of the weight.</param>
    /// <param name="weight">The model's tensor, borrowed; becomes a leaf with gradient.</param>
    /// <param name="decays">Whether weight decay applies.</param>
    /// <param name="mask">Bool, true where it may change, borrowed; null for everywhere.</param>
    public FreeWeight(string name, Tensor weight, bool decays, Tensor? mask)
    {
        this.weight = weight;
        this.mask = mask;
        weight.requires_grad = true;
        Parameters = [new TrainableParameter(name, weight, decays)];
    }

    /// <inheritdoc/>
    public IReadOnlyList<TrainableParameter> Parameters { get; }

    /// <inheritdoc/>
    public void PullBack()
    {
        if (mask is null || weight.grad is not { } gradient) return;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        gradient.mul_(mask);
    }

    /// <inheritdoc/>
    public void Update()
    {
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
