namespace Compress.Core.Sensitivity;

/// <summary>Chooses an option for each site so that the sum of divergences is small and the bytes stay within a budget.</summary>
/// <remarks>
/// The multiple-choice knapsack by its Lagrangian: for a price on bytes every site takes the option with the least <c>divergence + price ·
/// bytes</c>, and the price is the least one that keeps the budget (Everett 1963, "Generalized Lagrange multiplier method"). What the budget
/// leaves is then spent on the exchanges that still fit, the best first.
/// </remarks>
public static class BudgetSolver
{
    /// <summary>A set of sites that take one option together.</summary>
    private sealed record Group(IReadOnlyList<string> Sites, IReadOnlyList<(int Option, long Bytes, double Divergence)> Options);

    /// <summary>Chooses.</summary>
    /// <param name="entries">The measurements.</param>
    /// <param name="bytes">Most bytes of all sites.</param>
    /// <param name="together">Key of the sites that must take one option together; null where each chooses for itself.</param>
    /// <returns>The option of each site; null where even the smallest options exceed the budget.</returns>
    public static IReadOnlyDictionary<string, int>? Choose(
        IReadOnlyList<SiteOption> entries, long bytes, Func<SiteOption, string>? together = null)
    {
        var groups = entries.GroupBy(e => together?.Invoke(e) ?? e.Site, StringComparer.Ordinal).Select(Options).ToList();
        if (groups.Sum(g => g.Options.Min(o => o.Bytes)) > bytes) return null;
        var choice = Spend(groups, AtPrice(groups, Price(groups, bytes)), bytes);
        return groups.Zip(choice).SelectMany(g => g.First.Sites.Select(s => (s, g.First.Options[g.Second].Option)))
            .ToDictionary(c => c.s, c => c.Option, StringComparer.Ordinal);
    }

    private static Group Options(IGrouping<string, SiteOption> group)
    {
        var sites = group.Select(e => e.Site).Distinct().ToList();
        // An option that not every site of the group has is none for the group.
        var options = group.GroupBy(e => e.Option).Where(o => o.Count() == sites.Count)
            .Select(o => (o.Key, o.Sum(e => e.Bytes), o.Sum(e => e.Divergence))).ToList();
        return new Group(sites, options);
    }

    private static int[] AtPrice(List<Group> groups, double price) =>
        [.. groups.Select(g => Enumerable.Range(0, g.Options.Count).MinBy(o => (g.Options[o].Divergence + price * g.Options[o].Bytes, g.Options[o].Bytes)))];

    private static double Price(List<Group> groups, long bytes)
    {
        double low = 0, high = 1e-12;
        if (Bytes(groups, AtPrice(groups, 0)) <= bytes) return 0;
        while (Bytes(groups, AtPrice(groups, high)) > bytes) high *= 4;
        for (var i = 0; i < 100; i++)
        {
            var middle = (low + high) / 2;
            if (Bytes(groups, AtPrice(groups, middle)) > bytes) low = middle;
            else high = middle;
        }
        return high;
    }

    private static int[] Spend(List<Group> groups, int[] choice, long budget)
    {
        var left = budget - Bytes(groups, choice);
        while (true)
        {
            var best = (Gain: 0.0, Group: -1, Option: 0, Bytes: 0L);
            for (var g = 0; g < groups.Count; g++)
            {
                var now = groups[g].Options[choice[g]];
                for (var o = 0; o < groups[g].Options.Count; o++)
                {
                    var (_, bytes, divergence) = groups[g].Options[o];
                    var gain = now.Divergence - divergence;
                    if (bytes - now.Bytes <= left && gain > best.Gain) best = (gain, g, o, bytes - now.Bytes);
                }
            }
            if (best.Group < 0) return choice;
            choice[best.Group] = best.Option;
            left -= best.Bytes;
        }
    }

    private static long Bytes(List<Group> groups, int[] choice) => groups.Zip(choice, (g, o) => g.Options[o].Bytes).Sum();
}
