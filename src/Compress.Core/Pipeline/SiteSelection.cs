using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Recipes;
using Compress.Formats.Architectures;

namespace Compress.Core.Pipeline;

/// <summary>A site that a recipe can select.</summary>
/// <param name="Block">Index of its decoder block; null for the head and the embedding.</param>
/// <param name="Spec">Where its weight is stored.</param>
/// <param name="Shape">Name, role and shape.</param>
public sealed record SelectableSite(int? Block, LinearSpec Spec, SiteShape Shape);

/// <summary>Which sites of a model a stage applies to.</summary>
/// <remarks>Without targets a stage takes every linear of the decoder blocks; the head and the token table only where a target names them.</remarks>
public static class SiteSelection
{
    /// <summary>Every site of a model: the blocks' linears in order, then the head, then the token table.</summary>
    public static IReadOnlyList<SelectableSite> All(ModelSpec model)
    {
        var sites = new List<SelectableSite>();
        for (var i = 0; i < model.Blocks.Length; i++)
        {
            foreach (var (role, spec) in Linears(model.Blocks[i])) sites.Add(Site(i, role, spec));
        }
        sites.Add(Site(null, SiteRole.Head, model.Head.Linear));
        sites.Add(Site(null, SiteRole.Embedding, EmbeddingLinear(model)));
        return sites;
    }

    /// <summary>The sites that a stage applies to, in the order in which it works on them.</summary>
    public static IReadOnlyList<SelectableSite> Select(ModelSpec model, StageRecipe stage) =>
        [.. All(model).Where(site => SitePattern.Selects(stage, site.Shape.Name, inBlock: site.Block is not null))];

    /// <summary>The linears of a block in the order q, k, v, o, gate, up, down.</summary>
    public static IEnumerable<(SiteRole Role, LinearSpec Spec)> Linears(BlockSpec block)
    {
        if (block.Attention is { } attention)
        {
            yield return (SiteRole.Query, attention.Query);
            yield return (SiteRole.Key, attention.Key);
            yield return (SiteRole.Value, attention.Value);
            yield return (SiteRole.Output, attention.Output);
        }
        if (block.Mlp is { } mlp)
        {
            if (mlp.Gate is { } gate) yield return (SiteRole.Gate, gate);
            yield return (SiteRole.Up, mlp.Up);
            yield return (SiteRole.Down, mlp.Down);
        }
    }

    private static SelectableSite Site(int? block, SiteRole role, LinearSpec spec) =>
        new(block, spec, new SiteShape(spec.Name, role, spec.OutFeatures, spec.InFeatures));

    /// <summary>The token table as a site.</summary>
    public static LinearSpec EmbeddingLinear(ModelSpec model)
    {
        const string Suffix = ".weight";
        var tensor = model.Embedding.Tokens;
        var name = tensor.EndsWith(Suffix, StringComparison.Ordinal) ? tensor[..^Suffix.Length] : tensor;
        return new LinearSpec(name, new WeightPart(tensor), null, model.HiddenSize, model.VocabularySize);
    }
}
