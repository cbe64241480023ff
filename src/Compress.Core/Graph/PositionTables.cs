using Compress.Formats.Architectures;
using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>Rotary tables and attention masks by sequence length, computed once and shared by all blocks of a graph.</summary>
/// <remarks>Not thread-safe: one graph runs one forward pass at a time.</remarks>
public sealed class PositionTables : IDisposable
{
    private readonly Dictionary<RotaryKey, (torch.Tensor Cos, torch.Tensor Sin)> rotary = [];
    private readonly Dictionary<MaskKey, torch.Tensor> masks = [];

    /// <summary>Borrowed tables for positions 0 … length − 1.</summary>
    /// <returns><c>cos</c> and signed <c>sin</c> (minus in the first half), <c>[length, 1, rotated dimensions]</c>.</returns>
    internal (torch.Tensor Cos, torch.Tensor Sin) Rotary(
        RotarySpec spec, long length, torch.ScalarType type, torch.Device device)
    {
        var key = new RotaryKey(spec, length, type, device.ToString());
        if (rotary.TryGetValue(key, out var tables)) return tables;
        var frequencies = length > spec.LongBeyond && spec.LongInverseFrequencies.Length > 0
            ? spec.LongInverseFrequencies
            : spec.InverseFrequencies;
        var half = frequencies.Length;
        var cos = new double[length, 1, 2 * half];
        var sin = new double[length, 1, 2 * half];
        for (var t = 0; t < length; t++)
        {
            for (var i = 0; i < half; i++)
            {
                var (s, c) = Math.SinCos(t * frequencies[i]);
                cos[t, 0, i] = cos[t, 0, half + i] = c * spec.AttentionFactor;
                sin[t, 0, half + i] = s * spec.AttentionFactor;
                sin[t, 0, i] = -sin[t, 0, half + i];
            }
        }
        using var scope = torch.NewDisposeScope();
        tables = (Own(torch.from_array(cos, type, device)), Own(torch.from_array(sin, type, device)));
        rotary.Add(key, tables);
        return tables;
    }

    /// <summary>Borrowed additive mask <c>[rows, columns]</c>: 0 where the query of the row sees the key of the column, else −∞.</summary>
    /// <param name="window">Positions that a query sees, itself included; null for all before it.</param>
    /// <param name="rows">Queries; the last one stands at the last column.</param>
    /// <param name="columns">Keys; at least <paramref name="rows"/>.</param>
    /// <param name="type">Type of the mask.</param>
    /// <param name="device">Where it lies.</param>
    internal torch.Tensor Mask(int? window, long rows, long columns, torch.ScalarType type, torch.Device device)
    {
        var key = new MaskKey(window, rows, columns, type, device.ToString());
        if (masks.TryGetValue(key, out var mask)) return mask;
        using var scope = torch.NewDisposeScope();
        using var _ = torch.no_grad();
        var query = torch.arange(columns - rows, columns, device: device);
        var distance = query.unsqueeze(1) - torch.arange(columns, device: device).unsqueeze(0);
        var hidden = distance < 0;
        if (window is { } w) hidden = hidden | (distance >= w);
        mask = Own(torch.zeros([rows, columns], dtype: type, device: device).masked_fill(hidden, float.NegativeInfinity));
        masks.Add(key, mask);
        return mask;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (cos, sin) in rotary.Values)
        {
            cos.Dispose();
            sin.Dispose();
        }
        foreach (var mask in masks.Values) mask.Dispose();
        rotary.Clear();
        masks.Clear();
    }

    private readonly record struct RotaryKey(RotarySpec Spec, long Length, torch.ScalarType Type, string Device);

    private readonly record struct MaskKey(int? Window, long Rows, long Columns, torch.ScalarType Type, string Device);

    private static torch.Tensor Own(torch.Tensor tensor) => tensor.DetachFromDisposeScope();
}
