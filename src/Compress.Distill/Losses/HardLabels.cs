using Compress.Core.Graph;
using static TorchSharp.torch;

namespace Compress.Distill.Losses;

/// <summary>Cross-entropy of the next token of the text: <c>−log q[target]</c>; no teacher.</summary>
public sealed record HardLabels : DistillationLoss, ILogitLoss
{
    private static readonly CrossEntropyLoss CrossEntropy = new();

    /// <inheritdoc/>
    public bool ComparesWithTeacher => false;

    /// <inheritdoc/>
    public (Tensor Loss, Tensor? Gradient) Evaluate(Tensor student, Tensor? teacher, Tensor targets, bool differentiate) =>
        CrossEntropy.Evaluate(student, teacher, targets, differentiate);
}
