using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Pipeline;
using Compress.Core.Statistics;
using TorchSharp;

namespace Compress.Pruning.Structured;

/// <summary>Settings of methods that take the same share of heads and channels from every block, and how they choose.</summary>
public abstract record UniformOptions
{
    /// <summary>Share of the heads and of the channels of every block to remove, rounded down to whole heads.</summary>
    [Between(0, 0.95)]
    public required double Ratio { get; init; }

    /// <summary>Channels that remain are a multiple of this, so that group sizes of a later quantizer fit.</summary>
    [Between(1, 4096)]
    public int ChannelsMultipleOf { get; init; } = 32;

    /// <summary>What makes good the removed inputs: <c>none</c>, <c>bias</c> or <c>least_squares</c>.</summary>
    public Compensation Compensate { get; init; } = Compensation.None;

    /// <summary>Scores the inputs of an output projection; f64 <c>[in]</c> in the current dispose scope.</summary>
    internal delegate torch.Tensor ScoreInputs(StudiedBlock block, SiteRole role);

    internal IReadOnlyList<CoupledGroup> Choose(ModelStudy study, Needs needs, ScoreInputs score)
    {
        var result = new List<CoupledGroup>();
        foreach (var block in study.Blocks(needs))
        {
            using var scope = torch.NewDisposeScope();
            double[] Inputs(SiteRole role) => score(block, role).to(torch.ScalarType.Float64).data<double>().ToArray();
            var attends = block.Spec.Attention is not null && study.IsSelected(CoupledGroup.KeyValueHead(block.Index, 0));
            var feeds = block.Spec.Mlp is not null && study.IsSelected(CoupledGroup.MlpChannel(block.Index, 0));
            var scores = new GroupScores(
                attends ? Sums(Inputs(SiteRole.Output), block.Spec.Attention!.KeyValueHeads) : [], feeds ? Inputs(SiteRole.Down) : []);
            var heads = scores.Heads.Length;
            var kept = new KeptCounts(
                heads == 0 ? 0 : Math.Max(1, heads - (int)(Ratio * heads)),
                GroupSelection.Round((1 - Ratio) * scores.Channels.Length, scores.Channels.Length, ChannelsMultipleOf));
            var removed = GroupSelection.Removed(block.Index, scores, kept).ToList();
            block.Remove(removed);
            result.AddRange(removed);
        }
        return result;
    }

    private static double[] Sums(double[] inputs, int heads) => [.. inputs.Chunk(inputs.Length / heads).Select(h => h.Sum())];
}
