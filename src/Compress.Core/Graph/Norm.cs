using Compress.Formats.Architectures;
using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>A normalisation over the last dimension, computed in f32 (or f64) whatever the input's type.</summary>
internal sealed class Norm(NormSpec spec, Parameter? weight, Parameter? bias)
{
    public NormSpec Spec { get; } = spec;

    public Parameter? Weight => weight;

    public Parameter? Bias => bias;

    public IEnumerable<Parameter> Parameters => new[] { weight, bias }.OfType<Parameter>();

    /// <summary>The normalised input.</summary>
    /// <param name="x">Borrowed input <c>[…, size]</c>.</param>
    /// <param name="type">Type of the result.</param>
    public torch.Tensor Forward(torch.Tensor x, torch.ScalarType type)
    {
        using var scope = torch.NewDisposeScope();
        var wideType = Precision.Wide(x.dtype);
        var wide = x.to(wideType);
        if (Spec.Kind == NormKind.Layer)
        {
            var (w, b) = (weight?.Value.to(wideType), bias?.Value.to(wideType));
            if (w is not null && Spec.WeightOffset != 0) w = w + Spec.WeightOffset;
            return torch.nn.functional.layer_norm(wide, [x.shape[^1]], w, b, Spec.Epsilon).to(type).MoveToOuterDisposeScope();
        }
        // Not square(): its exponent is a native object that the collector may free while libtorch still reads it.
        var scaled = wide * ((wide * wide).mean([-1], keepdim: true) + Spec.Epsilon).rsqrt();
        if (weight is not null)
        {
            var w = weight.Value.to(wideType);
            scaled = scaled * (Spec.WeightOffset == 0 ? w : w + Spec.WeightOffset);
        }
        return scaled.to(type).MoveToOuterDisposeScope();
    }
}
