using Compress.Formats.Architectures;
using Compress.Pruning.Methods;

namespace Compress.Pruning.Structured;

/// <summary>How many heads and channels each block keeps, by FLAP's four structures (An et al. 2024, arXiv:2312.11983, section 3.3).</summary>
/// <param name="model">The model.</param>
/// <param name="scores">Scores of each block.</param>
/// <param name="options">FLAP's settings.</param>
internal sealed class FlapAllocation(ModelSpec model, IReadOnlyList<GroupScores> scores, Flap.Options options)
{
    /// <summary>A group that competes with others.</summary>
    private readonly record struct Rival(double Score, double Parameters, int Block, bool Head);

    /// <summary>Counts of each block.</summary>
    public IReadOnlyList<KeptCounts> Kept() => options.Structure switch
    {
        FlapStructure.UlUm => [.. scores.Select(s => Counts(s, s.Heads.Length - (int)(options.Ratio * s.Heads.Length), (1 - options.Ratio) * s.Channels.Length))],
        FlapStructure.UlMm => UniformLayers(),
        FlapStructure.AlMm => Winners([.. Heads(), .. Channels()], separately: true),
        _ => Winners([.. Heads(), .. Channels()], separately: false),
    };

    private List<KeptCounts> UniformLayers()
    {
        var perLayer = HeadsToRemove() / Math.Max(1, scores.Count(s => s.Heads.Length > 0));
        var share = ChannelShare(perLayer * (double)scores.Count(s => s.Heads.Length > 0));
        return [.. scores.Select(s => Counts(s, s.Heads.Length - perLayer, (1 - share) * s.Channels.Length))];
    }

    /// <summary>The heads and channels with the highest scores, until their parameters are the share that remains.</summary>
    private List<KeptCounts> Winners(List<Rival> rivals, bool separately)
    {
        HashSet<int> kept = separately
            ? [.. Top(rivals, r => r.Head, Heads().Count() - HeadsToRemove(), byCount: true),
               .. Top(rivals, r => !r.Head, (1 - ChannelShare(HeadsToRemove())) * Channels().Count(), byCount: true)]
            : [.. Top(rivals, _ => true, (1 - options.Ratio) * rivals.Sum(r => r.Parameters), byCount: false)];
        var counts = rivals.Select((r, i) => (r, Kept: kept.Contains(i))).Where(r => r.Kept).ToLookup(r => (r.r.Block, r.r.Head));
        return [.. scores.Select((s, b) => Counts(s, counts[(b, true)].Count(), counts[(b, false)].Count()))];
    }

    /// <summary>Indices of the best rivals, up to the amount nearest to the one that may stay.</summary>
    private static IEnumerable<int> Top(List<Rival> rivals, Func<Rival, bool> of, double amount, bool byCount)
    {
        var sum = 0.0;
        foreach (var i in Enumerable.Range(0, rivals.Count).Where(i => of(rivals[i])).OrderByDescending(i => rivals[i].Score))
        {
            var next = sum + (byCount ? 1 : rivals[i].Parameters);
            if (Math.Abs(next - amount) > Math.Abs(sum - amount)) yield break;
            sum = next;
            yield return i;
        }
    }

    private int HeadsToRemove() => options.RemoveHeads ?? (int)(options.Ratio * Heads().Count());

    /// <summary>Share of channels to remove so that, with the heads, the ratio of parameters is met.</summary>
    private double ChannelShare(double heads)
    {
        var all = Heads().Concat(Channels()).Sum(r => r.Parameters);
        var channels = Channels().Sum(r => r.Parameters);
        var byHeads = Heads().Any() ? heads * Heads().Average(r => r.Parameters) : 0;
        return channels == 0 ? 0 : Math.Clamp((options.Ratio * all - byHeads) / channels, 0, 1);
    }

    private IEnumerable<Rival> Heads() => scores.SelectMany((s, b) =>
        s.Heads.Select(score => new Rival(score, GroupSelection.HeadParameters(model.Blocks[b].Attention!), b, Head: true)));

    private IEnumerable<Rival> Channels() => scores.SelectMany((s, b) =>
        s.Channels.Select(score => new Rival(score, GroupSelection.ChannelParameters(model.Blocks[b].Mlp!), b, Head: false)));

    private KeptCounts Counts(GroupScores block, int heads, double channels) => new(
        block.Heads.Length == 0 ? 0 : Math.Clamp(heads, 1, block.Heads.Length),
        GroupSelection.Round(channels, block.Channels.Length, options.ChannelsMultipleOf));
}
