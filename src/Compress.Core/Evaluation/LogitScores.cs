using System.Runtime.InteropServices;

namespace Compress.Core.Evaluation;

/// <summary>What was measured on single tokens, in order of the scored tokens.</summary>
internal sealed class LogitScores
{
    private readonly List<double> nll = [];
    private readonly List<double> referenceNll = [];
    private readonly List<double> divergence = [];

    /// <summary>Negative log-likelihoods of the model under test, in nats.</summary>
    public ReadOnlySpan<double> Nll => CollectionsMarshal.AsSpan(nll);

    /// <summary>Negative log-likelihoods of the original; empty without one.</summary>
    public ReadOnlySpan<double> ReferenceNll => CollectionsMarshal.AsSpan(referenceNll);

    /// <summary>KL(original ‖ model), in nats; empty without an original.</summary>
    public ReadOnlySpan<double> Divergence => CollectionsMarshal.AsSpan(divergence);

    /// <summary>Positions where both models' most likely token is the same.</summary>
    public long Agreements { get; private set; }

    /// <summary>Adds a position of the model under test alone.</summary>
    /// <param name="value">Negative log-likelihood of the scored token.</param>
    public void Add(double value) => nll.Add(value);

    /// <summary>Adds a position of both models.</summary>
    /// <param name="value">Negative log-likelihood of the scored token under the model.</param>
    /// <param name="reference">The same under the original.</param>
    /// <param name="kullbackLeibler">KL(original ‖ model).</param>
    /// <param name="agree">Whether both find the same token most likely.</param>
    public void Add(double value, double reference, double kullbackLeibler, bool agree)
    {
        nll.Add(value);
        referenceNll.Add(reference);
        divergence.Add(kullbackLeibler);
        if (agree) Agreements++;
    }

    /// <summary>Adds positions whose softmax is complete.</summary>
    /// <param name="count">Number of positions.</param>
    /// <param name="model">Sums of the model under test.</param>
    /// <param name="reference">Sums of the original, or null.</param>
    public void Add(int count, SoftmaxSums model, SoftmaxSums? reference)
    {
        for (var i = 0; i < count; i++)
        {
            if (reference is null) Add(model.Nll(i));
            else Add(model.Nll(i), reference.Nll(i), reference.DivergenceTo(model, i), model.Likeliest(i) == reference.Likeliest(i));
        }
    }
}
