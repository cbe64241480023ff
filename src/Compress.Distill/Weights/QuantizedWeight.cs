using Compress.Distill.Training;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using static TorchSharp.torch;

namespace Compress.Distill.Weights;

/// <summary>
/// Quantization-aware training of a weight in integer groups: the model computes with <c>W = s (q − z)</c>, <c>q = clamp(round(θ/s + z))</c>,
/// and what is trained are the latent weights θ and the scales s; zero points stay.
/// </summary>
/// <remarks>
/// Rounding lets the gradient through where the code is not clipped (Bengio et al. 2013, arXiv:1308.3432); the scale's is that of learned
/// step sizes, <c>∂W/∂s = (q − z) − θ/s</c> inside the range and <c>q − z</c> outside (Esser et al. 2020, LSQ, arXiv:1902.08153, equation 3).
/// The optimiser changes log s, so that a step is a share of the scale and not an amount that would have to fit every group; LSQ's factor on
/// the gradient has no effect under Adam and is left out. Scales are rounded to their storage type before use: what is trained is what is
/// stored. θ begins at the decoded weight.
/// </remarks>
internal sealed class QuantizedWeight : IWeightMap
{
    private readonly GroupQuantizedWeight start;
    private readonly Tensor weight, latent, logScale, startScales, zeros, groupOf;
    private readonly Tensor? mask;

    /// <param name="site">Name of the site.</param>
    /// <param name="weight">The model's tensor <c>[out, in]</c>, borrowed; becomes a leaf with gradient.</param>
    /// <param name="start">How it is quantized.</param>
    /// <param name="mask">Bool, true where it may change, borrowed; null for everywhere.</param>
    public QuantizedWeight(string site, Tensor weight, GroupQuantizedWeight start, Tensor? mask)
    {
        this.weight = weight;
        this.start = start;
        this.mask = mask;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var device = weight.device;
        long[] grid = [start.Rows, start.Groups];
        int[] groups = start.GroupIndex ?? [.. Enumerable.Range(0, start.Columns).Select(c => c / start.GroupSize)];
        groupOf = tensor(groups, ScalarType.Int64).to(device).DetachFromDisposeScope();
        startScales = tensor(start.Scales, grid).to(device).DetachFromDisposeScope();
        var unit = 1f / (1 << start.ZeroFraction);
        zeros = tensor(start.Zeros.Select(z => z * unit).ToArray(), grid).to(device).index_select(1, groupOf).DetachFromDisposeScope();
        latent = weight.clone().DetachFromDisposeScope();
        logScale = zeros_like(startScales).DetachFromDisposeScope();
        weight.requires_grad = true;
        Parameters = [new TrainableParameter(site + ".latent", latent, false), new TrainableParameter(site + ".log_scale", logScale, false)];
    }

    /// <inheritdoc/>
    public IReadOnlyList<TrainableParameter> Parameters { get; }

    /// <summary>The weight as it is now, in the encoding in which it began.</summary>
    public GroupQuantizedWeight Encode()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var (codes, _, _) = Codes();
        return start with
        {
            Codes = [.. codes.to(ScalarType.Byte).cpu().contiguous().data<byte>()],
            Scales = [.. Scales().cpu().contiguous().data<float>()],
        };
    }

    /// <inheritdoc/>
    public void PullBack()
    {
        if (weight.grad is not { } gradient) return;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        if (mask is not null) gradient.mul_(mask);
        var (codes, steps, scales) = Codes();
        var inside = steps.add(zeros).ge(0).logical_and_(steps.add(zeros).le(Largest));
        var byScale = codes.sub_(zeros).sub_(steps.mul_(inside)).mul_(gradient).mul_(scales);
        Add(latent, gradient * inside);
        Add(logScale, zeros_like(logScale).index_add_(1, groupOf, byScale, 1));
        gradient.zero_();
    }

    /// <inheritdoc/>
    public void Update()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var (codes, _, scales) = Codes();
        weight.copy_(codes.sub_(zeros).mul_(scales));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in new[] { latent, logScale, startScales, zeros, groupOf }) tensor.Dispose();
    }

    private int Largest => (1 << start.Bits) - 1;

    /// <summary>Codes, θ/s and the scale of each weight, as f32 <c>[out, in]</c>.</summary>
    private (Tensor Codes, Tensor Steps, Tensor Scales) Codes()
    {
        var scales = Scales().index_select(1, groupOf);
        var steps = latent / scales;
        return ((steps + zeros).round_().clamp_(0, Largest), steps, scales);
    }

    /// <summary>Scales as they are stored, f32 <c>[out, groups]</c>; never zero.</summary>
    private Tensor Scales()
    {
        var scales = startScales * logScale.exp();
        var least = start.ScaleType == ElementType.F16 ? (double)Half.Epsilon : float.Epsilon * (1 << 16);
        return start.ScaleType switch
        {
            ElementType.F16 => scales.clamp_(least, (double)Half.MaxValue).to(ScalarType.Float16).to(ScalarType.Float32),
            ElementType.BF16 => scales.clamp_(least, 3.3e38).to(ScalarType.BFloat16).to(ScalarType.Float32),
            _ => scales,
        };
    }

    private static void Add(Tensor parameter, Tensor gradient)
    {
        if (parameter.grad is { } sum) sum.add_(gradient);
        else parameter.grad = gradient.DetachFromDisposeScope();
    }
}
