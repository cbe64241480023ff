using Compress.Core.Graph;
using static TorchSharp.torch;

namespace Compress.Distill.Losses;

/// <summary>The weighted sum of losses of logits.</summary>
/// <param name="terms">The terms, each a <see cref="DistillationLoss"/> too; at least one.</param>
internal sealed class LogitLosses(IReadOnlyList<(ILogitLoss Loss, double Weight)> terms) : ILogitLoss
{
    /// <summary>The losses of logits among the terms of a stage; null where there are none.</summary>
    public static LogitLosses? Of(IEnumerable<DistillationLoss> losses)
    {
        var terms = losses.Where(l => l is ILogitLoss).Select(l => ((ILogitLoss)l, l.Weight)).ToList();
        return terms.Count == 0 ? null : new LogitLosses(terms);
    }

    /// <inheritdoc/>
    public bool ComparesWithTeacher => terms.Any(t => t.Loss.ComparesWithTeacher);

    /// <inheritdoc/>
    public (Tensor Loss, Tensor? Gradient) Evaluate(Tensor student, Tensor? teacher, Tensor targets, bool differentiate)
    {
        Tensor? sum = null, change = null;
        foreach (var (term, weight) in terms)
        {
            var (loss, gradient) = term.Evaluate(student, teacher, targets, differentiate);
            loss.mul_(weight);
            gradient?.mul_(weight);
            sum = sum is null ? loss : sum.add_(loss);
            change = change is null ? gradient : change.add_(gradient!);
        }
        return (sum!, change);
    }
}
