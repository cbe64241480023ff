using Compress.Core.Graph;
using Compress.Formats.Architectures;

namespace Compress.Pruning.Structured;

/// <summary>Scores of one block's coupled groups; higher is more important.</summary>
/// <param name="Heads">One score a KV head with its query heads; empty where the stage leaves attention alone.</param>
/// <param name="Channels">One score an MLP channel; empty where the stage leaves the MLP alone.</param>
internal sealed record GroupScores(double[] Heads, double[] Channels);

/// <summary>How many groups of a block remain.</summary>
/// <param name="Heads">KV heads.</param>
/// <param name="Channels">MLP channels.</param>
internal sealed record KeptCounts(int Heads, int Channels);

/// <summary>Turns scores and counts into groups to remove.</summary>
internal static class GroupSelection
{
    /// <summary>The groups of a block that go: the lowest scores, the lower index first among equals.</summary>
    public static IEnumerable<CoupledGroup> Removed(int block, GroupScores scores, KeptCounts kept) =>
    [
        .. Lowest(scores.Heads, scores.Heads.Length - kept.Heads).Select(h => CoupledGroup.KeyValueHead(block, h)),
        .. Lowest(scores.Channels, scores.Channels.Length - kept.Channels).Select(c => CoupledGroup.MlpChannel(block, c)),
    ];

    /// <summary>Channels rounded to the nearest multiple, within what there is; one multiple (or head) at the least.</summary>
    /// <param name="wanted">Channels to keep.</param>
    /// <param name="count">Channels that there are.</param>
    /// <param name="multiple">What the number is to be divisible by, where <paramref name="count"/> allows it.</param>
    public static int Round(double wanted, int count, int multiple)
    {
        if (count == 0) return 0;
        var rounded = (int)Math.Round(wanted / multiple, MidpointRounding.ToEven) * multiple;
        return Math.Clamp(rounded, Math.Min(multiple, count), count);
    }

    /// <summary>Parameters of one KV head's group: rows of q, k and v, columns of o.</summary>
    public static double HeadParameters(AttentionSpec attention)
    {
        var shared = attention.Heads / attention.KeyValueHeads;
        return (double)attention.HeadSize * (shared * (attention.Query.InFeatures + attention.Output.OutFeatures) + 2 * attention.Key.InFeatures);
    }

    /// <summary>Parameters of one MLP channel: rows of gate and up, a column of down.</summary>
    public static double ChannelParameters(MlpSpec mlp) => (mlp.Gate is null ? 1.0 : 2.0) * mlp.Up.InFeatures + mlp.Down.OutFeatures;

    private static IEnumerable<int> Lowest(double[] scores, int count) =>
        Enumerable.Range(0, scores.Length).OrderBy(i => scores[i]).Take(count).Order();
}
