using Compress.Core.Graph;
using Compress.Core.Sensitivity;

namespace Compress.Core.Tests.Sensitivity;

public class BudgetSolverTests
{
    [Fact]
    public void It_keeps_the_budget_and_comes_near_the_best_of_all_choices()
    {
        var random = new Random(1);
        var (sum, best) = (0.0, 0.0);
        for (var round = 0; round < 40; round++)
        {
            var entries = Entries(random, sites: 6, options: 4);
            var smallest = entries.GroupBy(e => e.Site).Sum(g => g.Min(e => e.Bytes));
            var largest = entries.GroupBy(e => e.Site).Sum(g => g.Max(e => e.Bytes));
            var budget = smallest + (largest - smallest) * random.Next(5, 95) / 100;
            var choice = BudgetSolver.Choose(entries, budget)!;
            var chosen = entries.Where(e => choice[e.Site] == e.Option).ToList();
            Assert.Equal(6, chosen.Count);
            Assert.True(chosen.Sum(e => e.Bytes) <= budget);
            var optimum = Best([.. entries.GroupBy(e => e.Site).Select(g => g.ToList())], 0, budget);
            Assert.True(chosen.Sum(e => e.Divergence) >= optimum - 1e-12);
            sum += chosen.Sum(e => e.Divergence);
            best += optimum;
        }
        // The gap of the Lagrangian is at most one site's; with twenty sites and more it is nothing.
        Assert.InRange(sum / best, 1, 1.1);
    }

    [Fact]
    public void A_generous_budget_takes_the_best_option_everywhere_and_a_small_one_is_refused()
    {
        var entries = Entries(new Random(2), sites: 5, options: 3);
        var choice = BudgetSolver.Choose(entries, long.MaxValue)!;
        Assert.All(entries.GroupBy(e => e.Site), g => Assert.Equal(g.MinBy(e => e.Divergence)!.Option, choice[g.Key]));
        var smallest = entries.GroupBy(e => e.Site).Sum(g => g.Min(e => e.Bytes));
        Assert.Null(BudgetSolver.Choose(entries, smallest - 1));
        Assert.NotNull(BudgetSolver.Choose(entries, smallest));
    }

    [Fact]
    public void Fused_sites_take_one_option()
    {
        var random = new Random(3);
        SiteRole[] roles = [SiteRole.Query, SiteRole.Key, SiteRole.Value, SiteRole.Output, SiteRole.Gate, SiteRole.Up, SiteRole.Down];
        var entries = roles.SelectMany(role => Entries(random, 1, 4).Select(e => e with { Site = role.ToString(), Role = role })).ToList();
        var choice = BudgetSolver.Choose(entries, entries.Sum(e => e.Bytes) / 4, MixedRecipe.FusedWith)!;
        Assert.Equal(choice["Query"], choice["Key"]);
        Assert.Equal(choice["Query"], choice["Value"]);
        Assert.Equal(choice["Gate"], choice["Up"]);
    }

    private static double Best(List<List<SiteOption>> sites, int site, long left) => left < 0 ? double.PositiveInfinity
        : site == sites.Count ? 0
        : sites[site].Min(o => o.Divergence + Best(sites, site + 1, left - o.Bytes));

    private static List<SiteOption> Entries(Random random, int sites, int options) =>
    [
        .. from site in Enumerable.Range(0, sites)
           let worth = Math.Exp(3 * random.NextDouble())
           from option in Enumerable.Range(0, options)
           let bits = 2 + option
           select new SiteOption($"site {site}", SiteRole.Up, 0, option, 1000, 125 * bits * (1 + site % 3), null,
               worth * Math.Pow(4, -option) * (0.8 + 0.4 * random.NextDouble())),
    ];
}
