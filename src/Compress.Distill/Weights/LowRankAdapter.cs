using Compress.Distill.Training;
using static TorchSharp.torch;

namespace Compress.Distill.Weights;

/// <summary>
/// LoRA: <c>W = W₀ + (α / r) · (B A) ∘ M</c> with frozen W₀, A <c>[r, in]</c>, B <c>[out, r]</c> and the mask M of what earlier stages
/// removed. The model always holds the merged weight, so there is nothing to merge at the end and zeros stay zeros.
/// </summary>
/// <remarks>
/// Hu et al. 2021, arXiv:2106.09685, section 4.1: A starts random, B at zero; no dropout. With G = ∂L/∂W ∘ M the gradients are
/// <c>(α / r) Bᵀ G</c> and <c>(α / r) G Aᵀ</c>. A starts uniform in ±1/√in, as Kaiming's rule with a = √5 gives.
/// </remarks>
internal sealed class LowRankAdapter : IWeightMap
{
    private readonly Tensor weight, frozen, a, b;
    private readonly Tensor? mask;
    private readonly double scale;

    /// <param name="site">Name of the site.</param>
    /// <param name="weight">The model's tensor <c>[out, in]</c>, borrowed; becomes a leaf with gradient.</param>
    /// <param name="mask">Bool, true where it may change, borrowed; null for everywhere.</param>
    /// <param name="rank">Rank r.</param>
    /// <param name="alpha">Scale α.</param>
    /// <param name="seed">The same seed gives the same A.</param>
    public LowRankAdapter(string site, Tensor weight, Tensor? mask, int rank, double alpha, int seed)
    {
        this.weight = weight;
        this.mask = mask;
        scale = alpha / rank;
        using var _ = no_grad();
        var (rows, columns) = (weight.shape[0], weight.shape[1]);
        var random = new SeededOrder((uint)seed);
        var bound = 1 / Math.Sqrt(columns);
        var start = new float[rank * columns];
        for (var i = 0; i < start.Length; i++) start[i] = (float)(bound * (2.0 * (random.Next() >> 11) / (1UL << 53) - 1));
        frozen = weight.clone().DetachFromDisposeScope();
        a = tensor(start, [rank, columns], ScalarType.Float32, weight.device).DetachFromDisposeScope();
        b = zeros([rows, rank], ScalarType.Float32, weight.device).DetachFromDisposeScope();
        weight.requires_grad = true;
        Parameters = [new TrainableParameter(site + ".lora_A", a, false), new TrainableParameter(site + ".lora_B", b, false)];
    }

    /// <inheritdoc/>
    public IReadOnlyList<TrainableParameter> Parameters { get; }

    /// <inheritdoc/>
    public void PullBack()
    {
        if (weight.grad is not { } gradient) return;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        if (mask is not null) gradient.mul_(mask);
        Add(a, b.t().mm(gradient));
        Add(b, gradient.mm(a.t()));
        gradient.zero_();
    }

    /// <inheritdoc/>
    public void Update()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var change = b.mm(a).mul_(scale);
        if (mask is not null) change.mul_(mask);
        weight.copy_(change.add_(frozen));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in new[] { frozen, a, b }) tensor.Dispose();
    }

    private void Add(Tensor parameter, Tensor gradient)
    {
        gradient.mul_(scale);
        if (parameter.grad is { } sum) sum.add_(gradient);
        else parameter.grad = gradient.DetachFromDisposeScope();
    }
}
