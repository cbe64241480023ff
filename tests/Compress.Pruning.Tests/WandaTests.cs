using Compress.Core.Methods;
using Compress.Core.Statistics;
using Compress.Pruning.Methods;
using TorchSharp;

namespace Compress.Pruning.Tests;

public class WandaTests
{
    [Theory]
    [InlineData(7, 13, 0.5)]
    [InlineData(33, 128, 0.5)]
    [InlineData(16, 517, 0.3)]
    [InlineData(5, 64, 0)]
    [InlineData(5, 64, 1)]
    [InlineData(9, 100, 0.29)]
    public void Equals_a_stable_sort_of_each_row(int rows, int columns, double sparsity)
    {
        foreach (var coarse in new[] { false, true })
        {
            var w = Sites.Random(rows, columns, 1, coarse);
            var x = Sites.Random(50, columns, 2, coarse);
            var expected = (float[,])w.Clone();
            var norms = Norms(x);
            for (var r = 0; r < rows; r++)
            {
                var row = r;
                Sites.ZeroSmallest(expected, Sites.Cells(r, 0, columns), (_, c) => MathF.Abs(w[row, c]) * norms[c], (int)(columns * sparsity));
            }
            Assert.Equal(expected, Sites.Apply(new Wanda(new() { Sparsity = sparsity }), Sites.View(w), Sites.Norms(x)));
        }
    }

    [Theory]
    [InlineData(2, 4, 128)]
    [InlineData(4, 8, 128)]
    [InlineData(1, 4, 12)]
    [InlineData(3, 4, 20)]
    [InlineData(5, 7, 7 * 19)]
    [InlineData(1, 2, 2)]
    [InlineData(16, 32, 64)]
    public void Keeps_n_of_every_m_inputs(int kept, int group, int columns)
    {
        foreach (var coarse in new[] { false, true })
        {
            var w = Sites.Random(11, columns, 3, coarse);
            var x = Sites.Random(40, columns, 4, coarse);
            var norms = Norms(x);
            var expected = (float[,])w.Clone();
            for (var r = 0; r < 11; r++)
            {
                for (var from = 0; from < columns; from += group)
                {
                    Sites.ZeroSmallest(
                        expected, Sites.Cells(r, from, from + group), (row, c) => MathF.Abs(w[row, c]) * norms[c], group - kept);
                }
            }
            Assert.Equal(expected, Sites.Apply(new Wanda(new() { Pattern = Pattern.Of(kept, group) }), Sites.View(w), Sites.Norms(x)));
        }
    }

    [Fact]
    public void Inputs_that_were_always_zero_go_first()
    {
        var w = Sites.Random(4, 16, 5);
        var x = Sites.Random(20, 16, 6);
        foreach (var dead in new[] { 3, 9 })
        {
            for (var t = 0; t < 20; t++) x[t, dead] = 0;
            for (var r = 0; r < 4; r++) w[r, dead] = 100;
        }
        var log = new SiteLog();
        var pruned = Sites.Apply(new Wanda(new() { Sparsity = 2 / 16.0 }), Sites.View(w), Sites.Norms(x), log);
        Assert.Equal(2, log.DeadColumns);
        for (var r = 0; r < 4; r++)
        {
            for (var c = 0; c < 16; c++) Assert.Equal(c is 3 or 9, pruned[r, c] == 0);
        }
    }

    [Theory]
    [InlineData("unstructured", 0.5)]
    [InlineData("2:4", null)]
    public void Zeros_of_an_earlier_stage_stay_and_count(string pattern, double? sparsity)
    {
        var w = Sites.Random(24, 64, 7);
        var mask = Sites.RandomMask(24, 64, 0.75, 8);
        var method = new Wanda(new() { Sparsity = sparsity, Pattern = Pattern.Parse(pattern) });
        var pruned = Sites.Apply(method, Sites.View(w, mask), Sites.Norms(Sites.Random(30, 64, 9)));
        var group = pattern == "2:4" ? 4 : 64;
        for (var r = 0; r < 24; r++)
        {
            for (var from = 0; from < 64; from += group)
            {
                var cells = Sites.Cells(r, from, from + group).ToList();
                Assert.All(cells, cell => Assert.True(mask[r, cell.Column] || pruned[r, cell.Column] == 0));
                var removedBefore = cells.Count(cell => !mask[r, cell.Column]);
                Assert.Equal(Math.Max(group / 2, removedBefore), cells.Count(cell => pruned[r, cell.Column] == 0));
            }
        }
    }

    [Fact]
    public void Tensors_return_to_their_count()
    {
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (var w = torch.rand(12, 16))
        using (var mask = w > 0.2)
        using (var norms = new ColumnNorms(16, torch.CPU))
        {
            norms.Accumulate(w, 1);
            foreach (var type in new[] { torch.float32, torch.bfloat16 })
            {
                using var weight = w.to(type);
                new Wanda(new() { Sparsity = 0.5 }).Apply(new LinearView("s", Core.Graph.SiteRole.Up, weight, mask, 0), new StatisticsSet([norms]), new SiteLog()).Dispose();
            }
        }
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void Infinite_inputs_are_reported_and_kept()
    {
        var x = Sites.Random(10, 8, 1);
        x[3, 5] = float.PositiveInfinity;
        var log = new SiteLog();
        var pruned = Sites.Apply(new Wanda(new() { Sparsity = 0.5 }), Sites.View(Sites.Random(6, 8, 2)), Sites.Norms(x), log);
        Assert.Contains(log.Notes, n => n.Contains("1 inputs", StringComparison.Ordinal));
        for (var r = 0; r < 6; r++) Assert.NotEqual(0, pruned[r, 5]);
    }

    [Theory]
    [InlineData("2:4", null, 6, "divisible by 4")]
    [InlineData("2:4", 0.6, 8, "0.6")]
    [InlineData("unstructured", null, 8, "sparsity is missing")]
    [InlineData("2:4", 0.5, 8, null)]
    [InlineData("unstructured", 0.5, 7, null)]
    public void Options_that_do_not_fit_are_named(string pattern, double? sparsity, int width, string? expected)
    {
        var method = new Wanda(new() { Sparsity = sparsity, Pattern = Pattern.Parse(pattern) });
        var unfit = method.Unfit(new SiteShape("site", Core.Graph.SiteRole.Up, 4, width));
        if (expected is null) Assert.Null(unfit);
        else Assert.Contains(expected, unfit!, StringComparison.Ordinal);
    }

    /// <summary>Norms by the published formula, one sequence, in double and rounded once.</summary>
    private static float[] Norms(float[,] x) => [.. Enumerable.Range(0, x.GetLength(1)).Select(c =>
        MathF.Sqrt((float)Enumerable.Range(0, x.GetLength(0)).Sum(t => (double)(x[t, c] * x[t, c]))))];
}
