using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>The type in which norms, rotary, softmax and logits are computed: f32, or f64 for a graph in f64.</summary>
internal static class Precision
{
    public static torch.ScalarType Wide(torch.ScalarType type) =>
        type == torch.ScalarType.Float64 ? torch.ScalarType.Float64 : torch.ScalarType.Float32;
}
