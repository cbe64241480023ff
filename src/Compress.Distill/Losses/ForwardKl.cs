using Compress.Core.Graph;
using Compress.Core.Methods;
using static TorchSharp.torch;

namespace Compress.Distill.Losses;

/// <summary>
/// <c>T² · KL(p ‖ q)</c> with teacher p = softmax(z_t / T) and student q = softmax(z_s / T): the student covers all that the teacher
/// thinks possible.
/// </summary>
/// <remarks>Hinton, Vinyals and Dean 2015, arXiv:1503.02531, section 2; T² keeps the gradient's size independent of T.</remarks>
public sealed record ForwardKl : DistillationLoss, ILogitLoss
{
    /// <summary>Temperature T of both distributions.</summary>
    [Between(0.01, 100)]
    public double Temperature { get; init; } = 1;

    /// <inheritdoc/>
    public bool ComparesWithTeacher => true;

    /// <inheritdoc/>
    public (Tensor Loss, Tensor? Gradient) Evaluate(Tensor student, Tensor? teacher, Tensor targets, bool differentiate)
    {
        var logQ = (student / Temperature).log_softmax(-1);
        var logP = (teacher! / Temperature).log_softmax(-1);
        var p = logP.exp();
        var loss = (logP - logQ).mul_(p).sum(dim: -1).mul_(Temperature * Temperature);
        return (loss, differentiate ? logQ.exp_().sub_(p).mul_(Temperature) : null);
    }
}
