using Compress.Core.Graph;
using Compress.Core.Methods;
using static TorchSharp.torch;

namespace Compress.Distill.Losses;

/// <summary>
/// <c>T² · KL(q ‖ p)</c> with student q and teacher p: the student settles on what the teacher thinks likely. Token by token on the given
/// text; MiniLLM (Gu et al. 2024, arXiv:2306.08543) samples text from the student instead.
/// </summary>
public sealed record ReverseKl : DistillationLoss, ILogitLoss
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
        var q = logQ.exp();
        var difference = logQ.sub_(logP);
        var divergence = (q * difference).sum(dim: -1, keepdim: true);
        var loss = divergence.squeeze(-1) * (Temperature * Temperature);
        return (loss, differentiate ? difference.sub_(divergence).mul_(q).mul_(Temperature) : null);
    }
}
