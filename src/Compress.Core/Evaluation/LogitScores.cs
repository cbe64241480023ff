using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Compress.Core.Evaluation;

/// <summary>What is measured on single tokens, gathered chunk by chunk so that logits of a few positions exist at a time.</summary>
/// <remarks>
/// With log-probabilities p of the original and q of the model under test, f32 log-softmax each:
/// <c>nll = −q[target]</c>, <c>KL = Σ exp(p)(p − q)</c> in nats, summed in f64. Equal logits give exactly 0.
/// </remarks>
internal sealed class LogitScores
{
    private readonly List<double> nll = [];
    private readonly List<double> referenceNll = [];
    private readonly List<double> divergence = [];

    /// <summary>Negative log-likelihoods of the model under test, in order of the scored tokens.</summary>
    public ReadOnlySpan<double> Nll => CollectionsMarshal.AsSpan(nll);

    /// <summary>Negative log-likelihoods of the original; empty without one.</summary>
    public ReadOnlySpan<double> ReferenceNll => CollectionsMarshal.AsSpan(referenceNll);

    /// <summary>KL divergences to the original; empty without one.</summary>
    public ReadOnlySpan<double> Divergence => CollectionsMarshal.AsSpan(divergence);

    /// <summary>Positions where both models' most likely token is the same.</summary>
    public long Agreements { get; private set; }

    /// <summary>Adds a chunk of positions.</summary>
    /// <param name="logits">Borrowed logits of the model under test, <c>[positions, vocabulary]</c>.</param>
    /// <param name="reference">Borrowed logits of the original, same shape, or null.</param>
    /// <param name="targets">Borrowed next tokens, int64 <c>[positions]</c>.</param>
    public void Add(Tensor logits, Tensor? reference, Tensor targets)
    {
        using var scope = NewDisposeScope();
        var q = nn.functional.log_softmax(logits.to(ScalarType.Float32), dim: -1);
        nll.AddRange(LossOf(q, targets));
        if (reference is null) return;
        var p = nn.functional.log_softmax(reference.to(ScalarType.Float32), dim: -1);
        referenceNll.AddRange(LossOf(p, targets));
        divergence.AddRange(p.exp().mul_(p - q).sum(-1, type: ScalarType.Float64).cpu().data<double>().ToArray());
        Agreements += logits.argmax(-1).eq(reference.argmax(-1)).sum().ToInt64();
    }

    private static double[] LossOf(Tensor logProbabilities, Tensor targets) =>
        logProbabilities.gather(1, targets.unsqueeze(1)).squeeze(1).neg().to(ScalarType.Float64).cpu().data<double>().ToArray();
}
