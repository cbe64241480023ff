using Compress.Core.Pipeline;
using Compress.Core.Recipes;
using Compress.Formats.Checkpoints;

namespace Compress.Cli.Reports;

/// <summary>What a model consists of, from its headers; zeros only where they were asked for.</summary>
/// <param name="Path">The model.</param>
/// <param name="Family">Hugging Face <c>model_type</c>.</param>
/// <param name="HiddenSize">Residual stream width.</param>
/// <param name="Blocks">Decoder blocks.</param>
/// <param name="Heads">Query heads of the first block.</param>
/// <param name="KeyValueHeads">Key/value heads of the first block.</param>
/// <param name="IntermediateSize">MLP channels of the first block.</param>
/// <param name="VocabularySize">Rows of the token table.</param>
/// <param name="MaxPositions">Longest trained context.</param>
/// <param name="TiedHead">True where the head shares the token table.</param>
/// <param name="Parameters">Weights, decoded where they are quantized.</param>
/// <param name="Bytes">Stored bytes.</param>
/// <param name="BitsPerWeight">Bytes · 8 / parameters.</param>
/// <param name="Types">Tensors by element type.</param>
/// <param name="Sites">The linears that methods may touch.</param>
internal sealed record ModelReport(
    string Path, string Family, int HiddenSize, int Blocks, int? Heads, int? KeyValueHeads, int? IntermediateSize, int VocabularySize,
    int MaxPositions, bool TiedHead, long Parameters, long Bytes, double BitsPerWeight, IReadOnlyList<TypeReport> Types,
    IReadOnlyList<SiteEntry> Sites)
{
    /// <summary>Share of zeros over all sites, where it was asked for.</summary>
    public double? Zeros { get; init; }

    /// <summary>Encoded weights by encoding; empty for a model of plain tensors.</summary>
    public IReadOnlyList<EncodingReport> Encodings { get; init; } = [];

    /// <summary>Looks at a model.</summary>
    /// <param name="model">The open model.</param>
    /// <param name="counted">Set to read every site and count its zeros; called with each tensor that was read.</param>
    public static ModelReport Of(ModelFolder model, Action<TensorInfo>? counted = null)
    {
        var (spec, stored) = (model.Spec, Stored(model));
        var first = spec.Blocks.Length > 0 ? spec.Blocks[0] : null;
        var sites = new List<SiteEntry>();
        foreach (var site in SiteSelection.All(spec))
        {
            var info = model.Tensors.Tensors[site.Spec.Weight.Tensor];
            sites.Add(new SiteEntry(
                site.Shape.Name, RecordShape.SnakeCase(site.Shape.Role.ToString()), site.Shape.OutFeatures, site.Shape.InFeatures,
                info.Name, (model.Tensors as DecodingTensorSource)?.SummaryOf(info.Name) ?? info.Type.ToString(), counted is null ? null : Share(model.Tensors, info)));
            counted?.Invoke(info);
        }
        var (parameters, bytes) = (model.Tensors.Tensors.Values.Sum(t => t.ElementCount), stored.Sum(t => t.ByteCount));
        return new ModelReport(
            model.Path, spec.Family, spec.HiddenSize, spec.Blocks.Length, first?.Attention?.Heads, first?.Attention?.KeyValueHeads,
            first?.Mlp?.Up.OutFeatures, spec.VocabularySize, spec.MaxPositions, spec.Head.Tied, parameters, bytes,
            parameters == 0 ? 0 : 8.0 * bytes / parameters,
            [.. stored.GroupBy(t => t.Type).OrderByDescending(g => g.Sum(t => t.ByteCount)).Select(g => new TypeReport(
                g.Key.ToString(), g.Count(), g.Sum(t => t.ElementCount), g.Sum(t => t.ByteCount)))],
            sites)
        {
            Zeros = counted is null ? null : ZerosInBlocks(sites),
            Encodings = model.Tensors is DecodingTensorSource source ? EncodingsOf(source) : [],
        };
    }

    /// <summary>Headers as the files have them: of a quantized model the packed tensors, not what they decode to.</summary>
    private static List<TensorInfo> Stored(ModelFolder model)
    {
        if (model.QuantizationConfig is null) return [.. model.Tensors.Tensors.Values];
        using var folder = SafetensorsFolder.Map(model.Path);
        return [.. folder.Tensors.Values];
    }

    private static List<EncodingReport> EncodingsOf(DecodingTensorSource source) =>
    [
        .. source.Tensors.Values.Where(t => source.IsEncoded(t.Name)).GroupBy(t => source.SummaryOf(t.Name)!)
            .Select(g => new EncodingReport(g.Key, g.Count(), g.Sum(t => t.ElementCount), g.Sum(t => source.StoredBytes(t.Name)))),
    ];

    /// <summary>Bytes that counting zeros reads.</summary>
    public static long SiteBytes(ModelFolder model) =>
        SiteSelection.All(model.Spec).Sum(s => model.Tensors.Tensors[s.Spec.Weight.Tensor].ByteCount);

    private static double ZerosInBlocks(List<SiteEntry> sites)
    {
        var inBlocks = sites.Where(s => s.Role is not ("head" or "embedding")).ToList();
        return inBlocks.Sum(s => s.Zeros!.Value * s.Rows * s.Columns) / Math.Max(1, inBlocks.Sum(s => (double)s.Rows * s.Columns));
    }

    private static double? Share(ITensorSource source, TensorInfo info)
    {
        var share = info.ElementCount == 0 ? 0 : ZeroCount.Of(source.Open(info.Name)) / (double)info.ElementCount;
        source.Release(info.Name);
        return share;
    }
}

/// <summary>Tensors of one element type.</summary>
/// <param name="Type">safetensors name of the type.</param>
/// <param name="Tensors">How many.</param>
/// <param name="Elements">Their elements.</param>
/// <param name="Bytes">Their bytes.</param>
internal sealed record TypeReport(string Type, int Tensors, long Elements, long Bytes);

/// <summary>Weights of one encoding.</summary>
/// <param name="Encoding">The encoding in words.</param>
/// <param name="Weights">How many.</param>
/// <param name="Elements">Their elements.</param>
/// <param name="Bytes">Their bytes: codes, scales, tables, positions and outliers.</param>
internal sealed record EncodingReport(string Encoding, int Weights, long Elements, long Bytes);

/// <summary>A linear that methods may touch.</summary>
/// <param name="Name">Site name.</param>
/// <param name="Role">What it is for.</param>
/// <param name="Rows">Output features.</param>
/// <param name="Columns">Input features.</param>
/// <param name="Tensor">Tensor that holds it.</param>
/// <param name="Type">Element type of that tensor, or its encoding.</param>
/// <param name="Zeros">Share of zeros of that tensor, where it was asked for.</param>
internal sealed record SiteEntry(string Name, string Role, int Rows, int Columns, string Tensor, string Type, double? Zeros);
