using Compress.Distill.Losses;
using Compress.Distill.Tests.Training;
using static TorchSharp.torch;

namespace Compress.Distill.Tests.Losses;

/// <summary>Losses of blocks against plain loops.</summary>
[Collection(TorchTests.Name)]
public sealed class BlockLossTests
{
    public BlockLossTests() => Core.Torch.TorchBackend.EnsureLoaded();

    [Fact]
    public void Hidden_states_are_compared_as_defined()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var (s, t) = (randn([2, 3, 4], float64, generator: generator), randn([2, 3, 4], float64, generator: generator));
        var (mine, wanted) = (s.data<double>().ToArray(), t.data<double>().ToArray());
        var mse = mine.Zip(wanted, (a, b) => (a - b) * (a - b)).Sum() / wanted.Sum(b => b * b);
        var cosine = Enumerable.Range(0, 6).Average(i =>
        {
            var (x, y) = (mine[(4 * i)..(4 * i + 4)], wanted[(4 * i)..(4 * i + 4)]);
            return 1 - x.Zip(y, (a, b) => a * b).Sum() / Math.Sqrt(x.Sum(a => a * a) * y.Sum(b => b * b));
        });
        Assert.Equal(mse, Compare(new HiddenStates(), [s], [t]), 1e-12);
        Assert.Equal(cosine, Compare(new HiddenStates { Measure = HiddenMeasure.Cosine }, [s], [t]), 1e-7);
    }

    [Fact]
    public void A_projection_takes_a_narrow_student_to_the_teachers_width()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var (s, projection) = (randn([1, 3, 4], float64, generator: generator), randn([6, 4], float64, generator: generator));
        var t = s.matmul(projection.t());
        IBlockLoss loss = new HiddenStates();
        Assert.Equal(0, loss.Compare([s], [t], projection).item<double>(), 1e-12);
        Assert.True(loss.Compare([s], [t + 1], projection).item<double>() > 0.01);
    }

    [Fact]
    public void Relations_are_compared_as_defined()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(2);
        // Queries of width 8 and keys and values of width 4 in the student, twice as wide in the teacher; two relation heads.
        Tensor[] Model(int factor) => [.. new[] { 8, 4, 4 }.Select(w => randn([2, 5, factor * w], float64, generator: generator))];
        var (student, teacher) = (Model(1), Model(2));
        var expected = student.Zip(teacher, (s, t) => Divergence(Relate(s, 2), Relate(t, 2))).Sum();
        Assert.Equal(expected, Compare(new Relations { Heads = 2 }, student, teacher), 1e-12);
        Assert.Equal(0, Compare(new Relations(), student, student), 1e-12);

        static double Divergence(double[][] s, double[][] t) => s.Zip(t, (q, p) => p.Zip(q, (x, y) => x * Math.Log(x / y)).Sum()).Average();
    }

    [Theory]
    [InlineData(LayerMap.Last, 2, 4, new[] { 1, 3 })]
    [InlineData(LayerMap.Uniform, 2, 4, new[] { 0, 1, 1, 3 })]
    [InlineData(LayerMap.Uniform, 3, 4, new[] { 0, 0, 1, 2, 2, 3 })]
    [InlineData(LayerMap.Uniform, 3, 3, new[] { 0, 0, 1, 1, 2, 2 })]
    public void Blocks_are_paired_by_their_share_of_the_depth(LayerMap map, int student, int teacher, int[] expected) =>
        Assert.Equal(expected, LayerPairs.Of(map, student, teacher).SelectMany(p => new[] { p.Student, p.Teacher }));

    /// <summary>Rows of the relation matrices, each over the positions that its own sees.</summary>
    static double[][] Relate(Tensor x, int heads)
    {
        var (batch, time, width) = ((int)x.shape[0], (int)x.shape[1], (int)x.shape[2] / heads);
        double At(int b, int t, int h, int k) => x[b, t, h * width + k].item<double>();
        return
        [
            .. from b in Enumerable.Range(0, batch)
               from h in Enumerable.Range(0, heads)
               from i in Enumerable.Range(0, time)
               let scores = Enumerable.Range(0, i + 1)
                   .Select(j => Math.Exp(Enumerable.Range(0, width).Sum(k => At(b, i, h, k) * At(b, j, h, k)) / Math.Sqrt(width))).ToArray()
               select scores.Select(s => s / scores.Sum()).ToArray(),
        ];
    }

    static double Compare(IBlockLoss loss, IReadOnlyList<Tensor> student, IReadOnlyList<Tensor> teacher) =>
        loss.Compare(student, teacher, null).item<double>();
}
