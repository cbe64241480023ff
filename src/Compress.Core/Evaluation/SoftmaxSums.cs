using static TorchSharp.torch;

namespace Compress.Core.Evaluation;

/// <summary>
/// Softmax over a vocabulary whose logits arrive in slices: for each position the largest logit <c>m</c>, <c>Σ exp(l − m)</c> and the
/// target's logit, rescaled as the maximum grows. Logits and exponentials are f32, sums and logarithms f64.
/// </summary>
internal sealed class SoftmaxSums
{
    private readonly int[] targets;
    private readonly double[] maximum;
    private readonly double[] total;
    private readonly double[] difference;
    private readonly double[] target;
    private readonly long[] likeliest;

    /// <summary>Begins with no slice.</summary>
    /// <param name="targets">The scored tokens, one for each position.</param>
    public SoftmaxSums(int[] targets)
    {
        this.targets = targets;
        maximum = new double[targets.Length];
        total = new double[targets.Length];
        difference = new double[targets.Length];
        target = new double[targets.Length];
        likeliest = new long[targets.Length];
        Array.Fill(maximum, double.NegativeInfinity);
        Array.Fill(target, double.NaN);
    }

    /// <summary>Adds a slice for consecutive positions.</summary>
    /// <param name="first">First position.</param>
    /// <param name="offset">The slice's first token.</param>
    /// <param name="logits">Borrowed f32 logits <c>[positions, slice]</c>.</param>
    /// <param name="other">Another model's logits, borrowed, whose differences are weighted by this model's probabilities; or null.</param>
    public void Add(int first, int offset, Tensor logits, Tensor? other)
    {
        using var scope = NewDisposeScope();
        var (rows, slice) = ((int)logits.shape[0], (int)logits.shape[1]);
        var (largest, indexes) = logits.max(-1, keepdim: true);
        var exponentials = (logits - largest).exp_();
        var sums = Doubles(exponentials.sum(-1, type: ScalarType.Float64));
        var differences = other is null ? new double[rows] : Doubles(exponentials.mul_(logits - other).sum(-1, type: ScalarType.Float64));
        var maxima = Doubles(largest.squeeze(-1));
        var best = indexes.squeeze(-1).cpu().data<long>().ToArray();
        var inSlice = Array.ConvertAll(targets[first..(first + rows)], t => Math.Clamp(t - (long)offset, 0, slice - 1));
        var found = Doubles(logits.gather(1, tensor(inSlice, device: logits.device).unsqueeze(1)).squeeze(1));
        for (var i = 0; i < rows; i++)
        {
            Merge(first + i, maxima[i], sums[i], differences[i], offset + best[i]);
            if (targets[first + i] == offset + inSlice[i]) target[first + i] = found[i];
        }
    }

    /// <summary>Negative log-likelihood of a position's target, once every slice was added.</summary>
    public double Nll(int position) => LogSumExp(position) - target[position];

    /// <summary><c>KL(this ‖ other) = Σ p (l − l′) − (lse − lse′)</c>, where the other's logits came with this model's.</summary>
    public double DivergenceTo(SoftmaxSums other, int position) =>
        difference[position] / total[position] - (LogSumExp(position) - other.LogSumExp(position));

    /// <summary>The most likely token of a position.</summary>
    public long Likeliest(int position) => likeliest[position];

    private double LogSumExp(int position) => maximum[position] + Math.Log(total[position]);

    private void Merge(int position, double sliceMaximum, double sum, double weighted, long token)
    {
        var larger = Math.Max(maximum[position], sliceMaximum);
        var (old, added) = (Math.Exp(maximum[position] - larger), Math.Exp(sliceMaximum - larger));
        total[position] = total[position] * old + sum * added;
        difference[position] = difference[position] * old + weighted * added;
        if (sliceMaximum > maximum[position]) likeliest[position] = token;
        maximum[position] = larger;
    }

    private static double[] Doubles(Tensor tensor) => tensor.to(ScalarType.Float64).cpu().data<double>().ToArray();
}
