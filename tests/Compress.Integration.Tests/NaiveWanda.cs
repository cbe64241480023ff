using Compress.Core.Tests.Graph.Naive;
using Compress.Formats.Architectures;
using static Compress.Core.Tests.Graph.Naive.NaiveMath;

namespace Compress.Integration.Tests;

/// <summary>
/// Wanda on a Llama model as its paper describes it, in plain loops and double: block by block, norms of the inputs that the pruned blocks
/// before give, scores, a stable sort of each row.
/// </summary>
/// <param name="spec">Shapes and tensor names.</param>
/// <param name="weights">Stored values by tensor name.</param>
internal sealed class NaiveWanda(ModelSpec spec, IReadOnlyDictionary<string, double[]> weights)
{
    private readonly Dictionary<string, double[]> squares = [];

    /// <summary>Scores by weight name: <c>|W| · ‖X‖</c>.</summary>
    public Dictionary<string, double[]> Scores { get; } = [];

    /// <summary>What is removed, by weight name.</summary>
    public Dictionary<string, bool[]> Removed { get; } = [];

    /// <summary>Prunes every linear of every block.</summary>
    /// <param name="windows">Calibration tokens.</param>
    /// <param name="chooseRow">From a row of scores, which to remove.</param>
    public void Prune(IEnumerable<int[]> windows, Func<double[], bool[]> chooseRow)
    {
        var table = weights[spec.Embedding.Tokens];
        var hidden = windows.Select(ids => ids.Select(id => table[(id * spec.HiddenSize)..((id + 1) * spec.HiddenSize)]).ToArray()).ToList();
        foreach (var block in spec.Blocks)
        {
            squares.Clear();
            var pruned = new Dictionary<string, double[]>();
            foreach (var window in hidden) Forward(block, window, name => weights[name]);
            foreach (var (linear, input) in Sites(block)) pruned[linear.Weight.Tensor] = PruneSite(linear, squares[input], chooseRow);
            for (var i = 0; i < hidden.Count; i++) hidden[i] = Forward(block, hidden[i], name => pruned.GetValueOrDefault(name) ?? weights[name]);
        }
    }

    private static IEnumerable<(LinearSpec Linear, string Input)> Sites(BlockSpec block)
    {
        var (attention, mlp) = (block.Attention!, block.Mlp!);
        return
        [
            (attention.Query, "qkv"), (attention.Key, "qkv"), (attention.Value, "qkv"), (attention.Output, "o"),
            (mlp.Gate!, "gate_up"), (mlp.Up, "gate_up"), (mlp.Down, "down"),
        ];
    }

    private double[] PruneSite(LinearSpec linear, double[] inputSquares, Func<double[], bool[]> chooseRow)
    {
        var name = linear.Weight.Tensor;
        var weight = (double[])weights[name].Clone();
        Scores[name] = [.. weight.Select((w, i) => Math.Abs(w) * Math.Sqrt(inputSquares[i % linear.InFeatures]))];
        Removed[name] = [.. Scores[name].Chunk(linear.InFeatures).SelectMany(chooseRow)];
        for (var i = 0; i < weight.Length; i++)
        {
            if (Removed[name][i]) weight[i] = 0;
        }
        return weight;
    }

    private double[][] Forward(BlockSpec block, double[][] x, Func<string, double[]> weight)
    {
        var (attention, mlp) = (block.Attention!, block.Mlp!);
        var normed = RmsNorm(x, weight(block.AttentionNorm!.Weight!), block.AttentionNorm.Epsilon);
        x = Add(x, Apply(attention.Output, "o", Attend(attention, normed, weight), weight));
        normed = RmsNorm(x, weight(block.MlpNorm!.Weight!), block.MlpNorm.Epsilon);
        var gate = Map(Apply(mlp.Gate!, "gate_up", normed, weight), Silu);
        var up = Linear(normed, weight(mlp.Up.Weight.Tensor), null);
        return Add(x, Apply(mlp.Down, "down", Multiply(gate, up), weight));
    }

    private double[][] Attend(AttentionSpec attention, double[][] x, Func<string, double[]> weight)
    {
        var size = attention.HeadSize;
        var q = Apply(attention.Query, "qkv", x, weight);
        var k = Linear(x, weight(attention.Key.Weight.Tensor), null);
        var v = Linear(x, weight(attention.Value.Weight.Tensor), null);
        var frequencies = Frequencies(10000, size);
        var mixed = new List<double[][]>();
        for (var h = 0; h < attention.Heads; h++)
        {
            var group = h / (attention.Heads / attention.KeyValueHeads);
            mixed.Add(NaiveMath.Attend(Rotated(q, h), Rotated(k, group), Head(v, group, size), 1 / Math.Sqrt(size)));
        }
        return Join(mixed);

        double[][] Rotated(double[][] all, int head) => [.. Head(all, head, size).Select((row, t) => Rotate(row, t, frequencies))];
    }

    private double[][] Apply(LinearSpec linear, string input, double[][] x, Func<string, double[]> weight)
    {
        if (!squares.TryGetValue(input, out var sums)) squares[input] = sums = new double[linear.InFeatures];
        foreach (var row in x)
        {
            for (var j = 0; j < row.Length; j++) sums[j] += row[j] * row[j];
        }
        return Linear(x, weight(linear.Weight.Tensor), null);
    }
}
