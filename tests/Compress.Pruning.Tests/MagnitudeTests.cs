using Compress.Core.Methods;
using Compress.Pruning.Methods;

namespace Compress.Pruning.Tests;

public class MagnitudeTests
{
    [Theory]
    [InlineData(7, 13, 0.5, false)]
    [InlineData(40, 60, 0.37, true)]
    [InlineData(40, 60, 0.62, true)]
    [InlineData(64, 128, 0.5, false)]
    [InlineData(3, 5, 0, true)]
    [InlineData(3, 5, 1, true)]
    public void Equals_a_stable_sort_of_the_matrix(int rows, int columns, double sparsity, bool coarse)
    {
        var w = Sites.Random(rows, columns, 11, coarse);
        var expected = (float[,])w.Clone();
        var cells = Enumerable.Range(0, rows).SelectMany(r => Sites.Cells(r, 0, columns));
        Sites.ZeroSmallest(expected, cells, (r, c) => MathF.Abs(w[r, c]), (int)(rows * columns * sparsity));
        Assert.Equal(expected, Sites.Apply(new Magnitude(new() { Sparsity = sparsity }), Sites.View(w)));
    }

    [Theory]
    [InlineData(false, 0.5)]
    [InlineData(true, 0.5)]
    [InlineData(true, 0.83)]
    [InlineData(false, 0)]
    [InlineData(false, 1)]
    public void Over_the_model_equals_a_stable_sort_of_everything(bool coarse, double sparsity)
    {
        var weights = new[] { Sites.Random(8, 12, 1, coarse), Sites.Random(20, 6, 2, coarse), Sites.Random(5, 31, 3, coarse) };
        var expected = weights.Select(w => (float[,])w.Clone()).ToArray();
        var cells = weights.SelectMany((w, site) => from r in Enumerable.Range(0, w.GetLength(0))
                                                    from c in Enumerable.Range(0, w.GetLength(1))
                                                    select (site, r, c)).ToList();
        foreach (var (site, r, c) in cells.OrderBy(cell => MathF.Abs(weights[cell.site][cell.r, cell.c])).Take((int)(cells.Count * sparsity)))
            expected[site][r, c] = 0;

        var method = new Magnitude(new() { Sparsity = sparsity, Scope = Magnitude.ComparisonScope.Model });
        var views = weights.Select((w, i) => Sites.View(w, name: $"site.{i}")).ToArray();
        while (method.BeginSurvey()) foreach (var view in views) method.Survey(view);
        // A resumed run applies later sites without the earlier ones; the order must not matter.
        foreach (var i in new[] { 2, 0, 1 }) Assert.Equal(expected[i], Sites.Apply(method, views[i]));
    }

    [Fact]
    public void Over_the_model_counts_what_an_earlier_stage_removed()
    {
        var weights = new[] { Sites.Random(16, 16, 1), Sites.Random(16, 16, 2) };
        var masks = new[] { Sites.RandomMask(16, 16, 0.9, 3), Sites.RandomMask(16, 16, 0.6, 4) };
        var method = new Magnitude(new() { Sparsity = 0.5, Scope = Magnitude.ComparisonScope.Model });
        var views = weights.Select((w, i) => Sites.View(w, masks[i], $"site.{i}")).ToArray();
        while (method.BeginSurvey()) foreach (var view in views) method.Survey(view);
        var pruned = views.Select(v => Sites.Apply(method, v)).ToArray();
        Assert.Equal(256, pruned.Sum(p => p.Cast<float>().Count(v => v == 0)));
        for (var i = 0; i < 2; i++) Assert.All(Enumerable.Range(0, 256), at => Assert.True(masks[i][at / 16, at % 16] || pruned[i][at / 16, at % 16] == 0));
    }

    [Fact]
    public void A_layer_needs_no_survey() =>
        Assert.False(new Magnitude(new() { Sparsity = 0.5 }).BeginSurvey());

    [Fact]
    public void Keeps_the_largest_of_each_group()
    {
        var pruned = Sites.Apply(new Magnitude(new() { Pattern = Pattern.Of(2, 4) }), Sites.View(new float[,] { { 1, -4, 2, 3, 0, 0, 0, 0 } }));
        Assert.Equal(new float[,] { { 0, -4, 0, 3, 0, 0, 0, 0 } }, pruned);
    }

    [Fact]
    public void Weights_that_are_not_finite_go_and_are_reported()
    {
        var w = Sites.Random(8, 40, 5);
        w[2, 3] = float.NaN;
        w[7, 39] = float.NegativeInfinity;
        var log = new SiteLog();
        var pruned = Sites.Apply(new Magnitude(new() { Sparsity = 0.25 }), Sites.View(w), log: log);
        Assert.Contains(log.Notes, n => n.Contains("2 weights", StringComparison.Ordinal));
        Assert.Equal(80, pruned.Cast<float>().Count(v => v == 0));
        Assert.Equal(0, pruned[2, 3]);
        Assert.Equal(0, pruned[7, 39]);
    }
}
