namespace Compress.Core.Evaluation;

/// <summary>One sequence that goes through the model on its own, positions counted from 0, and which of its tokens are scored.</summary>
/// <param name="Ids">Token ids, at least two.</param>
/// <param name="FirstTarget">First token that is scored, at least 1: token <c>i</c> is predicted from tokens <c>0 … i − 1</c>.</param>
public sealed record ScoredWindow(ReadOnlyMemory<int> Ids, int FirstTarget)
{
    /// <summary>Number of scored tokens: those from <see cref="FirstTarget"/> to the last.</summary>
    public int Targets => Ids.Length - FirstTarget;
}
