using Compress.Formats;
using Compress.Formats.Architectures;

namespace Compress.Core.Graph;

/// <summary>What remains of each part of a model after groups are cut.</summary>
internal sealed class CutSet
{
    private readonly ModelSpec spec;
    private readonly HashSet<CoupledGroup> cut;

    public CutSet(ModelSpec spec, IEnumerable<CoupledGroup> groups)
    {
        this.spec = spec;
        cut = [.. groups];
        foreach (var group in cut) CoupledGroups.Check(spec, group);
        Hidden = Kept(spec.HiddenSize, CoupledGroup.HiddenDimension);
        if (Hidden.Length == 0) throw new ModelFileException("config.json", "all hidden dimensions would be removed.");
        for (var b = 0; b < spec.Blocks.Length; b++) Check(b);
    }

    /// <summary>Remaining hidden dimensions.</summary>
    public int[] Hidden { get; }

    /// <summary>Whether anything of a block remains.</summary>
    public bool Keeps(int block) => KeepsAttention(block) || KeepsMlp(block);

    /// <summary>Remaining KV heads of a block whose attention remains.</summary>
    public int[] Heads(int block) => Kept(spec.Blocks[block].Attention!.KeyValueHeads, h => CoupledGroup.KeyValueHead(block, h));

    /// <summary>Remaining channels of a block whose MLP remains.</summary>
    public int[] Channels(int block) => Kept(spec.Blocks[block].Mlp!.Up.OutFeatures, c => CoupledGroup.MlpChannel(block, c));

    /// <summary>The block's new shape.</summary>
    public BlockShape Shape(int block, BlockShape shape)
    {
        var heads = KeepsAttention(block) ? Heads(block).Length : (int?)null;
        return shape with
        {
            Heads = heads * (shape.Heads / shape.KeyValueHeads),
            KeyValueHeads = heads,
            IntermediateSize = KeepsMlp(block) ? Channels(block).Length : null,
        };
    }

    private bool KeepsAttention(int block) => spec.Blocks[block].Attention is not null
        && !cut.Contains(CoupledGroup.Attention(block)) && !cut.Contains(CoupledGroup.WholeBlock(block));

    private bool KeepsMlp(int block) => spec.Blocks[block].Mlp is not null
        && !cut.Contains(CoupledGroup.Mlp(block)) && !cut.Contains(CoupledGroup.WholeBlock(block));

    private int[] Kept(int count, Func<int, CoupledGroup> group) => [.. Enumerable.Range(0, count).Where(i => !cut.Contains(group(i)))];

    private void Check(int block)
    {
        var prefix = spec.Blocks[block].Prefix;
        var (attends, feeds) = (KeepsAttention(block), KeepsMlp(block));
        if (attends && Heads(block).Length == 0) throw Empty(prefix, "heads", "attention");
        if (feeds && Channels(block).Length == 0) throw Empty(prefix, "channels", "MLP");
        var whole = spec.Blocks[block] is { Attention: var a, Mlp: var m } && attends == a is not null && feeds == m is not null;
        if (!whole && spec.Blocks[block].PostNorm)
        {
            // The norm behind the sum would act on the stream alone, which is not the identity.
            throw new ModelFileException("config.json", $"{prefix}: a sublayer whose norm follows the residual sum cannot be removed.");
        }
    }

    private static ModelFileException Empty(string prefix, string what, string sublayer) => new(
        "config.json", $"{prefix}: all {what} would be removed.", $"Remove the {sublayer} as a whole: an output bias would stay behind.");
}
