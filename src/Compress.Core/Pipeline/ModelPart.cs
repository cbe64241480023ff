using System.Globalization;
using Compress.Formats.Architectures;

namespace Compress.Core.Pipeline;

/// <summary>A piece of the model that a stage finishes at once: the token table, a decoder block, or the head.</summary>
/// <param name="Name">Name of its file and in the journal.</param>
/// <param name="Block">Index of the block; null for table and head.</param>
/// <param name="Sites">The sites that the stage applies to; may be empty.</param>
internal sealed record ModelPart(string Name, int? Block, IReadOnlyList<SelectableSite> Sites)
{
    /// <summary>Name of the token table's part.</summary>
    public const string EmbeddingName = "embedding";

    /// <summary>Name of the head's part.</summary>
    public const string HeadName = "head";

    /// <summary>A model's parts in the order in which activations pass through them.</summary>
    public static IReadOnlyList<ModelPart> Of(ModelSpec model, IReadOnlyList<SelectableSite> selected)
    {
        IReadOnlyList<SelectableSite> Outside(string name) => [.. selected.Where(s => s.Block is null && s.Shape.Name == name)];
        var byBlock = selected.ToLookup(s => s.Block);
        var blocks = Enumerable.Range(0, model.Blocks.Length)
            .Select(i => new ModelPart(string.Create(CultureInfo.InvariantCulture, $"block-{i:00000}"), i, [.. byBlock[i]]));
        return
        [
            new ModelPart(EmbeddingName, null, Outside(SiteSelection.EmbeddingLinear(model).Name)),
            .. blocks,
            new ModelPart(HeadName, null, Outside(model.Head.Linear.Name)),
        ];
    }

    /// <summary>The part's file in a stage's folder.</summary>
    public string FileIn(string folder) => Path.Combine(folder, Name + ".safetensors");
}
