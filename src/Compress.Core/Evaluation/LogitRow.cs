using System.Numerics;

namespace Compress.Core.Evaluation;

/// <summary>The softmax of one position's logits: exponentials in f32, sums in f64, as everywhere in evaluation.</summary>
/// <param name="LogSumExp"><c>log Σ exp(l)</c>.</param>
/// <param name="Likeliest">The most likely token, the lowest of several.</param>
/// <param name="Difference"><c>Σ p (l − l′)</c> with another model's logits <c>l′</c>; 0 without.</param>
internal readonly record struct LogitRow(double LogSumExp, int Likeliest, double Difference)
{
    /// <summary>Sums up a position.</summary>
    /// <param name="logits">Logits <c>[vocabulary]</c>.</param>
    /// <param name="other">Another model's logits <c>[vocabulary]</c>, or nothing.</param>
    public static LogitRow Of(ReadOnlySpan<float> logits, ReadOnlySpan<float> other = default)
    {
        var (likeliest, maximum) = (0, float.NegativeInfinity);
        for (var k = 0; k < logits.Length; k++)
        {
            // A NaN stays, and is found in the sum.
            if (logits[k] <= maximum) continue;
            (likeliest, maximum) = (k, logits[k]);
        }
        var (sums, differences, largest) = (Vector<double>.Zero, Vector<double>.Zero, new Vector<float>(maximum));
        var i = 0;
        for (; i <= logits.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            var logit = new Vector<float>(logits[i..]);
            var exponential = Vector.Exp(logit - largest);
            Add(ref sums, exponential);
            if (!other.IsEmpty) Add(ref differences, exponential * (logit - new Vector<float>(other[i..])));
        }
        var (sum, difference) = (Vector.Sum(sums), Vector.Sum(differences));
        for (; i < logits.Length; i++)
        {
            var exponential = MathF.Exp(logits[i] - maximum);
            sum += exponential;
            if (!other.IsEmpty) difference += exponential * (logits[i] - other[i]);
        }
        return new LogitRow(maximum + Math.Log(sum), likeliest, difference / sum);
    }

    /// <summary><c>KL(this ‖ other)</c>, where the other's logits came with this model's.</summary>
    public double DivergenceTo(LogitRow other) => Difference - (LogSumExp - other.LogSumExp);

    private static void Add(ref Vector<double> sum, Vector<float> values)
    {
        Vector.Widen(values, out var low, out var high);
        sum += low + high;
    }
}
