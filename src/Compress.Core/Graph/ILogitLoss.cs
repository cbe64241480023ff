using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>A loss of a position's logits, with its gradient in closed form, so that logits need not be kept for a backward pass.</summary>
public interface ILogitLoss
{
    /// <summary>Whether it compares with the logits of another model.</summary>
    bool ComparesWithTeacher { get; }

    /// <summary>The loss of each position.</summary>
    /// <param name="student">Borrowed logits <c>[positions, vocabulary]</c>, f32 or f64.</param>
    /// <param name="teacher">Borrowed logits of the teacher, alike; null where none is asked for.</param>
    /// <param name="targets">Borrowed target ids <c>[positions]</c>; never negative.</param>
    /// <param name="differentiate">Whether the gradient is wanted.</param>
    /// <returns>
    /// Losses in nats <c>[positions]</c>, and their gradients with respect to the student's logits <c>[positions, vocabulary]</c>, or null;
    /// in the current dispose scope.
    /// </returns>
    (torch.Tensor Loss, torch.Tensor? Gradient) Evaluate(torch.Tensor student, torch.Tensor? teacher, torch.Tensor targets, bool differentiate);
}

/// <summary>Cross-entropy of the target: <c>−log softmax(z)[target]</c>.</summary>
public sealed class CrossEntropyLoss : ILogitLoss
{
    /// <inheritdoc/>
    public bool ComparesWithTeacher => false;

    /// <inheritdoc/>
    public (torch.Tensor Loss, torch.Tensor? Gradient) Evaluate(
        torch.Tensor student, torch.Tensor? teacher, torch.Tensor targets, bool differentiate)
    {
        var logProbabilities = student.log_softmax(-1);
        var index = targets.unsqueeze(1);
        var loss = logProbabilities.gather(1, index).neg().squeeze(1);
        if (!differentiate) return (loss, null);
        // Probability, less 1 at the target.
        var gradient = logProbabilities.exp_();
        gradient.scatter_add_(1, index, torch.full_like(index, -1, student.dtype));
        return (loss, gradient);
    }
}
