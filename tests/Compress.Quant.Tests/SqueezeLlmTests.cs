using Compress.Core.Methods;
using Compress.Core.Numerics;
using Compress.Core.Statistics;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using Compress.Formats.Encodings.Positions;
using Compress.Formats.Encodings.Values;
using Compress.Quant.Methods;
using static TorchSharp.torch;

namespace Compress.Quant.Tests;

public class SqueezeLlmTests
{
    private const int Rows = 21, Columns = 150;

    [Theory]
    [InlineData(3)]
    [InlineData(4)]
    public void Tables_are_at_least_as_good_as_those_of_lloyd(int bits)
    {
        using var scope = NewDisposeScope();
        var (w, norms, sensitivity) = Layer();
        using var result = new SqueezeLlm(new() { Bits = bits, Outliers = 0, Sensitive = 0, Damping = 0 }).Apply(Layers.View(w), new StatisticsSet([norms]), new SiteLog());
        using var before = HostMatrix.Of(w);
        using var after = HostMatrix.Of(result.Weight);
        for (var r = 0; r < Rows; r++)
        {
            var values = before.Row(r).ToArray();
            var error = values.Zip(after.Row(r).ToArray(), (a, b) => ((double)a - b) * ((double)a - b)).Zip(sensitivity, (e, s) => e * s).Sum();
            var lloyd = LloydReference.Error(values, sensitivity, LloydReference.Centres(values, sensitivity, 1 << bits, r));
            // Tables are rounded to halves.
            Assert.InRange(error, 0, lloyd * 1.002);
            Assert.InRange(after.Row(r).ToArray().Distinct().Count(), 2, 1 << bits);
        }
    }

    [Fact]
    public void What_is_stored_apart_are_the_most_sensitive_and_the_largest_weights()
    {
        using var scope = NewDisposeScope();
        var (w, norms, sensitivity) = Layer();
        w[4, 7] = 3.0;
        w[11, 100] = -2.5;
        var options = new SqueezeLlm.Options { Bits = 3, Outliers = 0.01, Sensitive = 0.003, Damping = 0 };
        using var result = new SqueezeLlm(options).Apply(Layers.View(w), new StatisticsSet([norms]), new SiteLog());
        var encoded = Assert.IsType<DenseAndSparseWeight>(result.Encoded);
        var values = w.data<float>().ToArray();
        var sensitive = Enumerable.Range(0, values.Length).OrderByDescending(i => sensitivity[i % Columns] * values[i] * values[i]).Take((int)(0.003 * values.Length)).ToArray();
        var largest = Enumerable.Range(0, values.Length).Except(sensitive).OrderByDescending(i => Math.Abs(values[i])).Take((int)(0.01 * values.Length) - sensitive.Length);
        var stored = (CsrPositions)encoded.Outliers.Positions;
        var places = Enumerable.Range(0, Rows).SelectMany(r => stored.ColumnIndex[stored.RowOffsets[r]..stored.RowOffsets[r + 1]].Select(c => r * Columns + c));
        Assert.Equal(sensitive.Concat(largest).Order(), places);
        // The sum of table and outlier is the weight, but for the rounding of what is stored.
        foreach (var i in places) Assert.InRange(result.Weight.data<float>()[i], values[i] - Math.Abs(values[i]) / 1000, values[i] + Math.Abs(values[i]) / 1000 + 1e-6f);
        // Without them the table serves the others better.
        var log = new SiteLog();
        using var dense = new SqueezeLlm(options with { Outliers = 0, Sensitive = 0 }).Apply(Layers.View(w), new StatisticsSet([norms]), log);
        Assert.True((result.Weight - w).square().sum().item<float>() < 0.8 * (dense.Weight - w).square().sum().item<float>());
    }

    [Fact]
    public void Removed_weights_are_behind_a_bitmap_and_cost_a_bit()
    {
        using var scope = NewDisposeScope();
        var (w, norms, _) = Layer();
        var mask = rand(Rows, Columns, generator: new Generator(5)) > 0.5;
        w.mul_(mask);
        using var result = new SqueezeLlm(new() { Bits = 4, Outliers = 0, Sensitive = 0 }).Apply(Layers.View(w, mask), new StatisticsSet([norms]), new SiteLog());
        var layers = Assert.IsType<LayeredWeight>(result.Encoded);
        Assert.IsType<BitmapPositions>(layers.Positions);
        var kept = (int)mask.sum().item<long>();
        Assert.Equal(kept, layers.Positions.Count);
        Assert.Equal(Rows * ((Columns + 7) / 8) + (kept * 4 + 7) / 8 + Rows * 16 * 2, layers.StoredBytes);
        Assert.Equal(0, result.Weight.ne(0).logical_and(mask.logical_not()).sum().item<long>());
    }

    [Fact]
    public void The_estimate_of_bytes_is_what_is_stored()
    {
        using var scope = NewDisposeScope();
        var (w, norms, _) = Layer();
        foreach (var outliers in new[] { 0, 0.02 })
        {
            var method = new SqueezeLlm(new() { Bits = 3, Outliers = outliers, Sensitive = 0 });
            using var result = method.Apply(Layers.View(w), new StatisticsSet([norms]), new SiteLog());
            Assert.Equal(result.Encoded!.StoredBytes, new CodebookScheme(3, outliers).Bytes(Rows, Columns));
            var parts = EncodedFormat.Pack("w", result.Encoded);
            Assert.Equal(result.Encoded.StoredBytes, parts.Sum(p => p.Info.ByteCount));
        }
    }

    [Fact]
    public void Weights_beyond_the_range_of_halves_have_tables_in_f32()
    {
        using var scope = NewDisposeScope();
        var (w, norms, _) = Layer();
        foreach (var (scale, type) in new[] { (1.0, ElementType.F16), (1e6, ElementType.F32), (1e-6, ElementType.F32) })
        {
            using var result = new SqueezeLlm(new() { Bits = 4, Outliers = 0, Sensitive = 0 }).Apply(Layers.View(w * scale), new StatisticsSet([norms]), new SiteLog());
            Assert.Equal(type, ((TableValues)((LayeredWeight)result.Encoded!).Values).TableType);
            Assert.InRange((result.Weight / scale - w).norm().item<float>() / w.norm().item<float>(), 0, 0.12);
        }
    }

    private static (Tensor Weight, ColumnNorms Norms, double[] Sensitivity) Layer()
    {
        var generator = new Generator(3);
        var w = randn(Rows, Columns, generator: generator) * 0.05;
        var x = randn(300, Columns, generator: generator) * (0.1 + 5 * rand(Columns, generator: generator).pow(6));
        var norms = new ColumnNorms(Columns, CPU);
        norms.Accumulate(x, 1);
        return (w, norms, [.. norms.ScalerRow().data<float>().ToArray().Select(v => (double)v)]);
    }
}
