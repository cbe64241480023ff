using Compress.Formats.Architectures;

namespace Compress.Core.Graph;

/// <summary>Makes a block's norms and sites from its specification.</summary>
internal sealed class BlockParts(BlockSpec block, IWeightReader reader)
{
    public Norm? Norm(NormSpec? spec, int size) => Norm(spec, size, reader);

    public static Norm? Norm(NormSpec? spec, int size, IWeightReader reader)
    {
        if (spec is null) return null;
        return new Norm(
            spec,
            spec.Weight is null ? null : reader.NormWeight(spec, size),
            spec.Bias is null ? null : reader.NormBias(spec, size));
    }

    public Attention Attention(AttentionSpec spec) => new(
        spec,
        Site(spec.Query, SiteRole.Query, "attn_in"),
        Site(spec.Key, SiteRole.Key, "attn_in"),
        Site(spec.Value, SiteRole.Value, "attn_in"),
        Site(spec.Output, SiteRole.Output, "attn_out"),
        Norm(spec.QueryNorm, spec.HeadSize),
        Norm(spec.KeyNorm, spec.HeadSize));

    public Mlp Mlp(MlpSpec spec)
    {
        // One norm feeds both sublayers of a parallel block (Phi): their sites share an input.
        var shared = block is { ParallelResidual: true, MlpNorm: null, Attention: not null };
        var input = shared ? "attn_in" : "mlp_in";
        return new Mlp(
            spec.Gate is { } gate ? Site(gate, SiteRole.Gate, input) : null,
            Site(spec.Up, SiteRole.Up, input),
            Site(spec.Down, SiteRole.Down, "mlp_mid"),
            spec.Activation);
    }

    private LinearSite Site(LinearSpec spec, SiteRole role, string input) => new(
        spec, role, $"{block.Prefix}.{input}", reader.Weight(spec, role), spec.Bias is null ? null : reader.Bias(spec));
}
