using Compress.Formats.Architectures;
using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>A linear map <c>y = x Wᵀ + b</c> that methods may touch.</summary>
public sealed class LinearSite
{
    private readonly Parameter weight;
    private readonly Parameter? bias;

    internal LinearSite(LinearSpec spec, SiteRole role, string inputName, Parameter weight, Parameter? bias)
    {
        Spec = spec;
        Role = role;
        InputName = inputName;
        this.weight = weight;
        this.bias = bias;
    }

    /// <summary>Stable name, e.g. <c>model.layers.3.mlp.down_proj</c>.</summary>
    public string Name => Spec.Name;

    /// <summary>What the site is for.</summary>
    public SiteRole Role { get; }

    /// <summary>Where the weight is stored, and its shape.</summary>
    public LinearSpec Spec { get; }

    /// <summary>
    /// Sites with equal input names read the same tensor: <c>attn_in</c>, <c>attn_out</c>, <c>mlp_in</c> or <c>mlp_mid</c> behind the
    /// block's prefix, or <c>head_in</c>.
    /// </summary>
    public string InputName { get; }

    /// <summary>The weight, <c>[out, in]</c>. Setting it takes ownership, disposes the old one; a tied head's is the token table.</summary>
    /// <exception cref="ArgumentException">The new weight has another shape.</exception>
    public torch.Tensor Weight
    {
        get => weight.Value;
        set => weight.Value = value;
    }

    /// <summary>The weight's name among <see cref="ModelGraph.NamedParameters"/>; a tied head's is that of the token table.</summary>
    public string WeightName => weight.Name;

    /// <summary>The bias, <c>[out]</c>, or null; owned by the site.</summary>
    public torch.Tensor? Bias => bias?.Value;

    /// <summary>The bias's name among <see cref="ModelGraph.NamedParameters"/>, or null.</summary>
    public string? BiasName => bias?.Name;

    /// <summary>
    /// Type of the matrix product where it differs from the weight's: master weights in f32, products in bf16 (gradients arrive in
    /// f32). Null computes in the weight's own type.
    /// </summary>
    public torch.ScalarType? ComputeType { get; set; }

    internal Parameter? BiasParameter => bias;

    internal IEnumerable<Parameter> Parameters => bias is null ? [weight] : [weight, bias];

    /// <summary>The type of the site's input and output.</summary>
    internal torch.ScalarType InputType => ComputeType ?? weight.Value.dtype;

    /// <summary><c>x Wᵀ + b</c>.</summary>
    /// <param name="x">Borrowed input <c>[…, in]</c>.</param>
    /// <returns>Output <c>[…, out]</c>, in the current dispose scope.</returns>
    public torch.Tensor Forward(torch.Tensor x)
    {
        using var scope = torch.NewDisposeScope();
        var type = InputType;
        return torch.nn.functional.linear(x.to(type), weight.Value.to(type), bias?.Value.to(type)).MoveToOuterDisposeScope();
    }
}
