using Compress.Core.Methods;
using Compress.Core.Recipes;

namespace Compress.Distill.Losses;

/// <summary>One term of the loss; the terms of a stage are added up.</summary>
/// <remarks>
/// DistilBERT's triple loss (Sanh et al. 2019, arXiv:1910.01108, section 3) is <c>[forward_kl: { temperature: 2, weight: 5 }, cross_entropy:
/// { weight: 2 }, hidden_states: { measure: cosine, layers: last }]</c>; Minitron's (Muralidharan et al. 2024, arXiv:2407.14679, section 2.4)
/// is <c>[forward_kl: {}]</c>, with <c>hidden_states</c> where much depth was removed.
/// </remarks>
[Variant("forward_kl", typeof(ForwardKl))]
[Variant("reverse_kl", typeof(ReverseKl))]
[Variant("jensen_shannon", typeof(JensenShannon))]
[Variant("cross_entropy", typeof(HardLabels))]
[Variant("hidden_states", typeof(HiddenStates))]
[Variant("relations", typeof(Relations))]
public abstract record DistillationLoss
{
    /// <summary>Factor on the term.</summary>
    [Between(0, 1e6)]
    public double Weight { get; init; } = 1;
}
