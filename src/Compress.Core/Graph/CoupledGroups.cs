using Compress.Formats.Architectures;
using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>The coupled groups of a model: enumeration, slices, and masking.</summary>
public static class CoupledGroups
{
    /// <summary>All groups of a kind, in the order of blocks and indices.</summary>
    public static IEnumerable<CoupledGroup> Of(ModelSpec spec, GroupKind kind)
    {
        if (kind == GroupKind.HiddenDimension) return Enumerable.Range(0, spec.HiddenSize).Select(CoupledGroup.HiddenDimension);
        return spec.Blocks.SelectMany((block, b) => Enumerable.Range(0, Count(block, kind)).Select(i => new CoupledGroup(kind, b, i)));
    }

    /// <summary>Every slice that goes with a group; a pruner scores these.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The model has no such group.</exception>
    public static IReadOnlyList<GroupSlice> Slices(ModelSpec spec, CoupledGroup group)
    {
        Check(spec, group);
        if (group.Kind == GroupKind.HiddenDimension) return [.. HiddenSlices(spec, group.Index)];
        var block = spec.Blocks[group.Block];
        return group.Kind switch
        {
            GroupKind.MlpChannel => [.. Channel(block.Mlp!, group.Index)],
            GroupKind.KeyValueHead => [.. Head(block.Attention!, group.Index)],
            GroupKind.Attention => [.. AttentionSlices(block, spec.HiddenSize)],
            GroupKind.Mlp => [.. MlpSlices(block, spec.HiddenSize)],
            _ => [.. AttentionSlices(block, spec.HiddenSize), .. MlpSlices(block, spec.HiddenSize)],
        };
    }

    /// <summary>Sets all slices of the groups to zero: the graph then computes what <see cref="CoupledRemoval"/>'s will.</summary>
    /// <param name="graph">The graph, changed in place.</param>
    /// <param name="groups">Groups of the graph's specification.</param>
    public static void Mask(ModelGraph graph, IEnumerable<CoupledGroup> groups) => Mask(graph.Spec, graph.NamedParameters, groups);

    /// <summary>Sets all slices of groups of one block to zero.</summary>
    /// <param name="spec">The model.</param>
    /// <param name="block">One of its blocks, changed in place.</param>
    /// <param name="groups">Groups of that block.</param>
    internal static void Mask(ModelSpec spec, Block block, IEnumerable<CoupledGroup> groups) =>
        Mask(spec, block.OwnParameters.Select(p => (p.Name, p.Value)), groups);

    private static void Mask(ModelSpec spec, IEnumerable<(string Name, torch.Tensor Value)> named, IEnumerable<CoupledGroup> groups)
    {
        using var _ = torch.no_grad();
        var parameters = named.ToDictionary(p => p.Name, p => p.Value, StringComparer.Ordinal);
        foreach (var slice in groups.SelectMany(g => Slices(spec, g)))
        {
            using var part = parameters[slice.Parameter].narrow(slice.Dimension, slice.Start, slice.Count);
            part.zero_();
        }
    }

    internal static void Check(ModelSpec spec, CoupledGroup group)
    {
        var count = group.Kind == GroupKind.HiddenDimension ? spec.HiddenSize
            : group.Block >= 0 && group.Block < spec.Blocks.Length ? Count(spec.Blocks[group.Block], group.Kind) : 0;
        if (group.Index < 0 || group.Index >= count)
        {
            throw new ArgumentOutOfRangeException(nameof(group), group, "the model has no such group");
        }
    }

    private static int Count(BlockSpec block, GroupKind kind) => kind switch
    {
        GroupKind.MlpChannel => block.Mlp?.Up.OutFeatures ?? 0,
        GroupKind.KeyValueHead => block.Attention?.KeyValueHeads ?? 0,
        GroupKind.Attention => block.Attention is null ? 0 : 1,
        GroupKind.Mlp => block.Mlp is null ? 0 : 1,
        _ => 1,
    };

    private static IEnumerable<GroupSlice> Channel(MlpSpec mlp, int channel) =>
        [.. mlp.Gate is { } gate ? Rows(gate, channel, 1) : [], .. Rows(mlp.Up, channel, 1), Columns(mlp.Down, channel, 1)];

    private static IEnumerable<GroupSlice> Head(AttentionSpec attention, int head)
    {
        var size = attention.HeadSize;
        var shared = attention.Heads / attention.KeyValueHeads * size;
        return
        [
            .. Rows(attention.Query, head * shared, shared),
            .. Rows(attention.Key, head * size, size),
            .. Rows(attention.Value, head * size, size),
            Columns(attention.Output, head * shared, shared),
        ];
    }

    private static IEnumerable<GroupSlice> AttentionSlices(BlockSpec block, int hidden)
    {
        if (block.Attention is not { } a) return [];
        // One norm may serve both sublayers (Phi): it goes only with the last of them.
        var shared = block is { ParallelResidual: true, MlpNorm: null, Mlp: not null };
        return
        [
            .. shared ? [] : Whole(block.AttentionNorm, hidden), .. Whole(a.Query), .. Whole(a.Key), .. Whole(a.Value),
            .. Whole(a.QueryNorm, a.HeadSize), .. Whole(a.KeyNorm, a.HeadSize), .. Whole(a.Output),
            .. Whole(block.AttentionOutputNorm, hidden),
        ];
    }

    private static IEnumerable<GroupSlice> MlpSlices(BlockSpec block, int hidden) => block.Mlp is not { } mlp ? [] :
    [
        .. Whole(block.MlpNorm, hidden), .. mlp.Gate is { } gate ? Whole(gate) : [], .. Whole(mlp.Up), .. Whole(mlp.Down),
        .. Whole(block.MlpOutputNorm, hidden),
    ];

    private static IEnumerable<GroupSlice> HiddenSlices(ModelSpec spec, int d)
    {
        yield return new(spec.Embedding.Tokens, 1, d, 1);
        if (spec.Embedding.Positions is { } positions) yield return new(positions, 1, d, 1);
        foreach (var block in spec.Blocks)
        {
            foreach (var slice in Norms(block).SelectMany(n => Part(n, d))) yield return slice;
            foreach (var linear in Readers(block)) yield return Columns(linear, d, 1);
            foreach (var slice in Writers(block).SelectMany(w => Rows(w, d, 1))) yield return slice;
        }
        foreach (var slice in Part(spec.FinalNorm, d)) yield return slice;
        if (!spec.Head.Tied) yield return Columns(spec.Head.Linear, d, 1);
    }

    /// <summary>Norms over the hidden size.</summary>
    private static IEnumerable<NormSpec?> Norms(BlockSpec b) => [b.AttentionNorm, b.AttentionOutputNorm, b.MlpNorm, b.MlpOutputNorm];

    /// <summary>Linears whose input is the residual stream.</summary>
    private static IEnumerable<LinearSpec> Readers(BlockSpec block) => new[]
    {
        block.Attention?.Query, block.Attention?.Key, block.Attention?.Value, block.Mlp?.Gate, block.Mlp?.Up,
    }.OfType<LinearSpec>();

    /// <summary>Linears whose output is added to the residual stream.</summary>
    private static IEnumerable<LinearSpec> Writers(BlockSpec block) =>
        new[] { block.Attention?.Output, block.Mlp?.Down }.OfType<LinearSpec>();

    private static IEnumerable<GroupSlice> Rows(LinearSpec linear, int start, int count)
    {
        yield return new(ParameterNames.Weight(linear), 0, start, count);
        if (linear.Bias is not null) yield return new(ParameterNames.Bias(linear), 0, start, count);
    }

    private static GroupSlice Columns(LinearSpec linear, int start, int count) => new(ParameterNames.Weight(linear), 1, start, count);

    private static IEnumerable<GroupSlice> Whole(LinearSpec linear) => Rows(linear, 0, linear.OutFeatures);

    private static IEnumerable<GroupSlice> Whole(NormSpec? norm, int size) => Part(norm, 0, size);

    private static IEnumerable<GroupSlice> Part(NormSpec? norm, int start, int count = 1)
    {
        if (norm?.Weight is { } weight) yield return new(weight, 0, start, count);
        if (norm?.Bias is { } bias) yield return new(bias, 0, start, count);
    }
}
