using Compress.Core.Graph;
using Compress.Core.Methods;
using static TorchSharp.torch;

namespace Compress.Distill.Losses;

/// <summary>
/// <c>T² · (β KL(p ‖ m) + (1 − β) KL(q ‖ m))</c> with teacher p, student q and <c>m = β p + (1 − β) q</c>: between forward and reverse KL,
/// and bounded.
/// </summary>
/// <remarks>Agarwal et al. 2024 (GKD), arXiv:2306.13649, section 2.</remarks>
public sealed record JensenShannon : DistillationLoss, ILogitLoss
{
    /// <summary>Weight β of the teacher in the mixture; small behaves like forward KL, large like reverse KL.</summary>
    [Between(0.001, 0.999)]
    public double Beta { get; init; } = 0.5;

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
        var (p, q) = (logP.exp(), logQ.exp());
        // log m by the larger of the two logarithms, so that two vanishing probabilities do not make it infinite.
        var logM = logaddexp(logP + Math.Log(Beta), logQ + Math.Log(1 - Beta));
        var fromP = (p * (logP - logM)).sum(dim: -1);
        var difference = logQ - logM;
        var fromQ = (q * difference).sum(dim: -1, keepdim: true);
        var loss = (fromP * Beta + fromQ.squeeze(-1) * (1 - Beta)) * (Temperature * Temperature);
        // The derivative with respect to q is (1 − β) log(q / m): the other terms add up to nothing.
        return (loss, differentiate ? (difference - fromQ).mul_(q).mul_((1 - Beta) * Temperature) : null);
    }
}
