using Compress.Core.Methods;
using Compress.Formats.Architectures;
using static TorchSharp.torch;

namespace Compress.Core.Graph;

/// <summary>
/// A place of a block where scale can move from what makes channels to the sites that read them, without changing what the block computes.
/// </summary>
/// <remarks>Norm → q, k, v; v → o; norm → gate, up; up → down. Only these commute with a scale for each channel.</remarks>
internal sealed class ScaleJoint
{
    private readonly Norm? norm;

    private ScaleJoint(IReadOnlyList<LinearSite> readers, Norm? norm, LinearSite? maker, SharedHeads? heads, string? obstacle)
    {
        (Readers, this.norm, Maker, Heads, Obstacle) = (readers, norm, maker, heads, obstacle);
    }

    /// <summary>The sites that read the channels.</summary>
    public IReadOnlyList<LinearSite> Readers { get; }

    /// <summary>The linear whose rows are the channels; null where a norm makes them.</summary>
    public LinearSite? Maker { get; }

    /// <summary>How query heads share the channels of KV heads; null where each input is a channel of its own.</summary>
    public SharedHeads? Heads { get; }

    /// <summary>Why no scale can move here, as a sentence; null where it can.</summary>
    public string? Obstacle { get; }

    /// <summary>Every site that a fold changes.</summary>
    public IEnumerable<LinearSite> Sites => Maker is null ? Readers : Readers.Append(Maker);

    /// <summary>The block's joints, those with an obstacle too: each site but those of removed sublayers reads from one of them.</summary>
    public static IReadOnlyList<ScaleJoint> Of(Block block)
    {
        var joints = new List<ScaleJoint>();
        LinearSite Site(SiteRole role) => block.Sites.First(s => s.Role == role);
        ScaleJoint BehindNorm(Norm? norm, params SiteRole[] roles)
        {
            List<LinearSite> readers = [.. block.Sites.Where(s => roles.Contains(s.Role))];
            var obstacle = block.Spec.PostNorm ? "it reads the residual stream itself, as norms follow the sums."
                : block.Sites.Any(s => s.InputName == readers[0].InputName && !readers.Contains(s)) ? "attention and the MLP read the same norm."
                : norm?.Weight is null ? "no norm with a weight lies before it."
                : null;
            return new ScaleJoint(readers, norm, null, null, obstacle);
        }
        if (block.Spec.Attention is { } attention)
        {
            joints.Add(BehindNorm(block.AttentionNorm, SiteRole.Query, SiteRole.Key, SiteRole.Value));
            var queries = attention.Heads / attention.KeyValueHeads;
            var heads = queries > 1 ? new SharedHeads(queries, attention.HeadSize) : null;
            joints.Add(new ScaleJoint([Site(SiteRole.Output)], null, Site(SiteRole.Value), heads, null));
        }
        if (block.Spec.Mlp is { } mlp)
        {
            joints.Add(BehindNorm(block.MlpNorm, SiteRole.Gate, SiteRole.Up));
            // ReLU lets positive factors through; other activations do not.
            var obstacle = mlp.Gate is null && mlp.Activation != Activation.Relu ? "the activation before it does not commute with scales." : null;
            joints.Add(new ScaleJoint([Site(SiteRole.Down)], null, Site(SiteRole.Up), null, obstacle));
        }
        return joints;
    }

    /// <summary>Multiplies the readers' columns by scales and divides what makes the channels by them.</summary>
    /// <param name="scales">Borrowed positive scales <c>[channels]</c>, f32.</param>
    /// <param name="typeOf">Type in which a tensor is stored. A norm is rounded to it first, and the columns take what it really became.</param>
    /// <returns>Names of the stored tensors that changed; empty where the type cannot hold the result, and then nothing changed.</returns>
    public IReadOnlyList<string> Fold(Tensor scales, Func<string, ScalarType> typeOf)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var changed = new List<string>();
        if (norm is not null)
        {
            var (spec, weight) = (norm.Spec, norm.Weight!.Value + norm.Spec.WeightOffset);
            var folded = Rounded(weight / scales - spec.WeightOffset, typeOf(spec.Weight!));
            if (!folded.isfinite().all().item<bool>()) return [];
            var left = folded + spec.WeightOffset;
            scales = where(left.ne(0), weight / left, scales);
            norm.Weight.Value = folded;
            changed.Add(spec.Weight!);
            if (norm.Bias is { } bias) Divide(bias, spec.Bias!, scales, typeOf, changed);
        }
        if (Maker is not null)
        {
            Maker.Weight = Maker.Weight / scales.unsqueeze(1);
            changed.Add(Maker.Spec.Weight.Tensor);
            if (Maker.BiasParameter is { } bias) Divide(bias, Maker.Spec.Bias!.Tensor, scales, typeOf, changed);
        }
        var columns = Heads?.Spread(scales) ?? scales;
        foreach (var reader in Readers)
        {
            reader.Weight = reader.Weight * columns;
            changed.Add(reader.Spec.Weight.Tensor);
        }
        return changed;
    }

    private static void Divide(Parameter bias, string name, Tensor scales, Func<string, ScalarType> typeOf, List<string> changed)
    {
        bias.Value = Rounded(bias.Value / scales, typeOf(name));
        changed.Add(name);
    }

    private static Tensor Rounded(Tensor value, ScalarType type) => value.to(type).to(value.dtype);
}
