using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>Final norm and output head.</summary>
public sealed class Head : IDisposable
{
    private readonly Norm? norm;

    internal Head(ModelSpec model, IWeightReader reader, Parameter? tied)
    {
        Spec = model.Head;
        norm = BlockParts.Norm(model.FinalNorm, model.HiddenSize, reader);
        var linear = Spec.Linear;
        OwnsWeight = tied is null;
        Site = new LinearSite(linear, SiteRole.Head, "head_in", tied ?? reader.Weight(linear, SiteRole.Head),
            linear.Bias is null ? null : reader.Bias(linear));
    }

    /// <summary>The head's description.</summary>
    public HeadSpec Spec { get; }

    /// <summary>The head's linear site, <c>[vocabulary, hidden]</c>; where tied, its weight is the token table.</summary>
    public LinearSite Site { get; }

    internal IEnumerable<Parameter> OwnParameters => (norm?.Parameters ?? []).Concat(Site.Parameters.Skip(OwnsWeight ? 0 : 1));

    private bool OwnsWeight { get; }

    /// <summary>Loads final norm and head from a checkpoint.</summary>
    /// <param name="source">The checkpoint, already checked against the specification.</param>
    /// <param name="model">The model.</param>
    /// <param name="type">Type of the weights.</param>
    /// <param name="device">Where they lie.</param>
    /// <param name="embedding">Embedding whose token table a tied head borrows; null loads the table once more.</param>
    public static Head Load(
        ITensorSource source, ModelSpec model, torch.ScalarType type, torch.Device device, Embedding? embedding = null)
    {
        using var _ = torch.no_grad();
        return new Head(model, new CheckpointReader(source, type, device), model.Head.Tied ? embedding?.TokenParameter : null);
    }

    /// <summary>The final norm and, where it is not tied, the head as a checkpoint stores them.</summary>
    /// <returns>Names and tensors; a tensor is the head's own or lies in the current dispose scope.</returns>
    public IEnumerable<(string Name, torch.Tensor Value)> StoredTensors() => Graph.StoredTensors.Of(
        norm is null ? [] : [norm], [Site], tied: Spec.Tied);

    /// <summary>The final norm alone.</summary>
    /// <param name="hidden">Borrowed hidden states <c>[…, hidden]</c> of the last block.</param>
    /// <returns>The head's input, in the type in which it computes, in the current dispose scope.</returns>
    public torch.Tensor Normalize(torch.Tensor hidden) => norm?.Forward(hidden, Site.InputType) ?? hidden.to(Site.InputType);

    /// <summary>Final norm and head.</summary>
    /// <param name="hidden">Borrowed hidden states <c>[…, hidden]</c> of the last block.</param>
    /// <returns>Logits <c>[…, vocabulary]</c>, f32, in the current dispose scope.</returns>
    public torch.Tensor Forward(torch.Tensor hidden)
    {
        using var scope = torch.NewDisposeScope();
        var logits = Site.Forward(Normalize(hidden));
        logits = logits.to(Precision.Wide(logits.dtype));
        if (Spec.SoftCap is { } cap) logits = (logits / cap).tanh() * cap;
        return logits.MoveToOuterDisposeScope();
    }

    /// <summary>Mean cross-entropy of next tokens, differentiable, without ever holding all logits.</summary>
    /// <param name="hidden">Borrowed hidden states <c>[…, hidden]</c> of the last block.</param>
    /// <param name="targets">Borrowed target ids, int64, one a position; −100 leaves a position out.</param>
    /// <returns>Scalar loss in nats, in the current dispose scope.</returns>
    public torch.Tensor CrossEntropy(torch.Tensor hidden, torch.Tensor targets) => Loss(hidden, targets, new CrossEntropyLoss());

    /// <summary>Mean of a loss of logits over positions, differentiable, without ever holding all logits.</summary>
    /// <remarks>
    /// Logits of some positions at a time become their gradient at once, as training memory and time would otherwise go to the logits
    /// (Hsu et al. 2024, arXiv:2410.10989, section 3.2). The result differentiates once, with respect to hidden states and weights.
    /// </remarks>
    /// <param name="hidden">Borrowed hidden states <c>[…, hidden]</c> of the last block.</param>
    /// <param name="targets">Borrowed target ids, int64, one a position; −100 leaves a position out.</param>
    /// <param name="loss">The loss of a position.</param>
    /// <param name="teacher">
    /// Logits of the teacher <c>[count, vocabulary]</c> for positions <c>first … first + count − 1</c>, in the scope of the call; null where
    /// the loss compares with none.
    /// </param>
    /// <returns>Scalar loss in nats, in the current dispose scope.</returns>
    public torch.Tensor Loss(
        torch.Tensor hidden, torch.Tensor targets, ILogitLoss loss, Func<long, long, torch.Tensor>? teacher = null)
    {
        using var scope = torch.NewDisposeScope();
        var head = new HeadLoss(Site, Spec.SoftCap, loss, teacher);
        return head.Of(Normalize(hidden).flatten(0, -2), targets.flatten()).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var parameter in OwnParameters) parameter.Dispose();
    }
}
