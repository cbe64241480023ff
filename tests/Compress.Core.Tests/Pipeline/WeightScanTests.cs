using Compress.Core.Pipeline;
using Compress.Core.Statistics;
using Compress.Core.Torch;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using static TorchSharp.torch;

namespace Compress.Core.Tests.Pipeline;

public sealed class WeightScanTests
{
    static WeightScanTests() => TorchBackend.EnsureLoaded();

    [Fact]
    public void One_pass_finds_errors_zeros_and_numbers_that_are_none()
    {
        using var scope = NewDisposeScope();
        var before = rand(37, 53) - 0.5;
        var after = before * rand(37, 53).gt(0.3);
        var (b, a) = (before.data<float>().ToArray(), after.data<float>().ToArray());
        var comparison = WeightScan.Compare(before, after);
        Assert.Equal(b.Zip(a, (x, y) => ((double)y - x) * ((double)y - x)).Sum(), comparison.ErrorSquared, 1e-4);
        Assert.Equal(b.Sum(x => (double)x * x), comparison.NormSquared, 1e-4);
        Assert.Equal(a.Count(x => x == 0), comparison.Zeros);
        Assert.True(comparison.IsFinite);
        foreach (var (value, column) in new[] { (float.NaN, 3), (float.PositiveInfinity, 52), (float.NegativeInfinity, 0) })
        {
            var bad = after.clone();
            bad[20, column] = value;
            Assert.False(WeightScan.Compare(before, bad).IsFinite);
        }
    }

    [Fact]
    public void A_decode_is_recognised_bit_for_bit()
    {
        using var scope = NewDisposeScope();
        var weight = new GroupQuantizedWeight
        {
            Rows = 2,
            Columns = 3,
            Bits = 4,
            GroupSize = 2,
            Symmetric = false,
            Codes = [1, 2, 15, 0, 7, 9],
            Scales = [0.5f, 0.25f, 1f / 3, 2f],
            Zeros = [3, 8, 0, 16],
            ScaleType = ElementType.F32,
        };
        var decoded = tensor([(1 - 3) * 0.5f, (2 - 3) * 0.5f, (15 - 8) * 0.25f, 0f, 7 * (1f / 3), (9 - 16) * 2f], [2, 3]);
        Assert.True(WeightScan.IsDecodeOf(decoded, weight));
        Assert.True(StoredWeight.Decode(weight).eq(decoded).all().item<bool>());
        decoded[1, 1] = MathF.BitIncrement(7 * (1f / 3));
        Assert.False(WeightScan.IsDecodeOf(decoded, weight));
    }

    /// <summary>tr(ΔW H ΔWᵀ) is the squared output error itself: compared with the outputs, in double.</summary>
    [Theory]
    [InlineData(40, 1e-5)]
    [InlineData(2000, 0.1)]
    public void Output_error_is_that_of_the_outputs(int rows, double tolerance)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(5);
        var x = randn([300, 24], generator: generator) * arange(1, 25);
        var before = randn([rows, 24], generator: generator);
        var after = before + randn([rows, 24], generator: generator) * 0.1;
        using var hessian = new Hessian(24, CPU);
        hessian.Accumulate(x, 3);
        var (y, z) = (x.to(ScalarType.Float64).matmul(before.to(ScalarType.Float64).t()), x.to(ScalarType.Float64).matmul(after.to(ScalarType.Float64).t()));
        var expected = (z - y).square().sum().item<double>() / y.square().sum().item<double>();
        var actual = SiteErrors.Output(before, after, [hessian])!.Value;
        Assert.InRange(actual / expected, 1 - tolerance, 1 + tolerance);
    }

    [Fact]
    public void With_channel_norms_only_the_diagonal_counts()
    {
        using var scope = NewDisposeScope();
        using var norms = new ColumnNorms(2, CPU);
        norms.Accumulate(tensor([1f, 2f, 3f, 4f], [2, 2]), 1);
        var (before, after) = (tensor([1f, 1f], [1, 2]), tensor([1f, 0f], [1, 2]));
        Assert.Equal(20.0 / (10 + 20), SiteErrors.Output(before, after, [norms])!.Value, 6);
        Assert.Null(SiteErrors.Output(before, after, []));
    }
}
