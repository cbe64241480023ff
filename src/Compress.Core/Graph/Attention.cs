using Compress.Formats.Architectures;
using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>Causal self-attention over the specification: grouped heads, rotary, windows, soft caps, q/k norms.</summary>
internal sealed class Attention(
    AttentionSpec spec, LinearSite query, LinearSite key, LinearSite value, LinearSite output, Norm? queryNorm, Norm? keyNorm)
{
    public IReadOnlyList<LinearSite> Sites { get; } = [query, key, value, output];

    public IEnumerable<Norm> Norms => new[] { queryNorm, keyNorm }.OfType<Norm>();

    /// <summary>Attention's output before the residual sum.</summary>
    /// <param name="x">Normalised hidden states <c>[batch, time, hidden]</c>; the caller has shown them to the observer.</param>
    /// <param name="tables">Rotary tables and masks.</param>
    /// <param name="observer">Takes the output projection's input.</param>
    public torch.Tensor Forward(torch.Tensor x, PositionTables tables, IInputObserver? observer)
    {
        var (batch, time) = (x.shape[0], x.shape[1]);
        var q = Heads(query.Forward(x), spec.Heads, queryNorm, tables, rotate: true);
        var k = Heads(key.Forward(x), spec.KeyValueHeads, keyNorm, tables, rotate: true);
        var v = Heads(value.Forward(x), spec.KeyValueHeads, null, tables, rotate: false);
        var groups = spec.Heads / spec.KeyValueHeads;
        if (groups > 1) (k, v) = (Repeat(k, groups), Repeat(v, groups));
        var mixed = spec.SoftCap is { } cap ? Capped(q, k, v, cap, tables) : Fused(q, k, v, tables);
        var joined = mixed.transpose(1, 2).reshape(batch, time, spec.Heads * spec.HeadSize);
        observer?.OnInput(output.InputName, joined);
        return output.Forward(joined);
    }

    /// <summary>Splits into heads, normalises and rotates: <c>[batch, time, heads · size]</c> to <c>[batch, heads, time, size]</c>.</summary>
    private torch.Tensor Heads(torch.Tensor x, int heads, Norm? norm, PositionTables tables, bool rotate)
    {
        var split = x.view(x.shape[0], x.shape[1], heads, spec.HeadSize);
        if (norm is not null) split = norm.Forward(split, x.dtype);
        split = split.transpose(1, 2);
        return rotate && spec.Rotary is { } rotary ? Rotate(split, rotary, tables) : split;
    }

    private torch.Tensor Rotate(torch.Tensor x, RotarySpec rotary, PositionTables tables)
    {
        var (cos, sin) = tables.Rotary(rotary, x.shape[2], x.device);
        if (rotary.Dimensions == spec.HeadSize) return Rotated(x, cos, sin);
        var turned = Rotated(x.narrow(-1, 0, rotary.Dimensions), cos, sin);
        return torch.cat([turned, x.narrow(-1, rotary.Dimensions, spec.HeadSize - rotary.Dimensions)], -1);
    }

    // sin is negative in its first half, so that swapping the halves is all rotate_half needs.
    private static torch.Tensor Rotated(torch.Tensor x, torch.Tensor cos, torch.Tensor sin) =>
        (x * cos).addcmul(x.roll(x.shape[^1] / 2, -1).to(torch.ScalarType.Float32), sin, 1f).to(x.dtype);

    private static torch.Tensor Repeat(torch.Tensor x, int groups)
    {
        var (batch, heads, time, size) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3]);
        return x.unsqueeze(2).expand(batch, heads, groups, time, size).reshape(batch, heads * groups, time, size);
    }

    private torch.Tensor Fused(torch.Tensor q, torch.Tensor k, torch.Tensor v, PositionTables tables)
    {
        // The fused kernel always scales by 1/√size.
        var correction = spec.Scale * Math.Sqrt(spec.HeadSize);
        if (Math.Abs(correction - 1) > 1e-12) q = q * (float)correction;
        var time = q.shape[2];
        return spec.Window is { } window && window < time
            ? torch.nn.functional.scaled_dot_product_attention(q, k, v, tables.Mask(window, time, q.dtype, q.device))
            : torch.nn.functional.scaled_dot_product_attention(q, k, v, is_casual: true);
    }

    private torch.Tensor Capped(torch.Tensor q, torch.Tensor k, torch.Tensor v, double cap, PositionTables tables)
    {
        var wide = torch.ScalarType.Float32;
        var scores = q.to(wide).matmul(k.to(wide).transpose(-1, -2)) * (float)(spec.Scale / cap);
        var masked = scores.tanh() * (float)cap + tables.Mask(spec.Window, q.shape[2], wide, q.device);
        return masked.softmax(-1).to(v.dtype).matmul(v);
    }
}
