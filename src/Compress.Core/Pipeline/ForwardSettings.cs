using TorchSharp;

namespace Compress.Core.Pipeline;

/// <summary>How calibration's forward passes are computed.</summary>
/// <param name="Compute">Type of weights and matrix products: Float32 or BFloat16.</param>
/// <param name="Residual">Type of the residual stream between blocks: Float32 or BFloat16.</param>
/// <param name="Device">Where.</param>
/// <param name="BatchSize">Windows in one pass.</param>
public sealed record ForwardSettings(torch.ScalarType Compute, torch.ScalarType Residual, torch.Device Device, int BatchSize);
