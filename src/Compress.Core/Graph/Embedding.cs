using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>Input embedding: tokens, and learned positions where the family has them.</summary>
public sealed class Embedding : IDisposable
{
    private readonly Parameter tokens;
    private readonly Parameter? positions;

    internal Embedding(ModelSpec model, IWeightReader reader)
    {
        Spec = model.Embedding;
        tokens = reader.Table(Spec.Tokens, model.VocabularySize, model.HiddenSize);
        positions = Spec.Positions is { } name
            ? reader.Table(name, model.MaxPositions + Spec.PositionOffset, model.HiddenSize)
            : null;
    }

    /// <summary>The embedding's description.</summary>
    public EmbeddingSpec Spec { get; }

    /// <summary>Token table, <c>[vocabulary, hidden]</c>; owned.</summary>
    public torch.Tensor Tokens => tokens.Value;

    internal Parameter TokenParameter => tokens;

    internal IEnumerable<Parameter> OwnParameters => positions is null ? [tokens] : [tokens, positions];

    /// <summary>Loads the embedding from a checkpoint.</summary>
    /// <param name="source">The checkpoint, already checked against the specification.</param>
    /// <param name="model">The model.</param>
    /// <param name="type">Type of the tables.</param>
    /// <param name="device">Where they lie.</param>
    public static Embedding Load(ITensorSource source, ModelSpec model, torch.ScalarType type, torch.Device device)
    {
        using var _ = torch.no_grad();
        return new Embedding(model, new CheckpointReader(source, type, device));
    }

    /// <summary>Hidden states of token ids.</summary>
    /// <param name="ids">Borrowed ids <c>[batch, time]</c>, int64.</param>
    /// <returns>Hidden states <c>[batch, time, hidden]</c>, in the current dispose scope.</returns>
    public torch.Tensor Forward(torch.Tensor ids)
    {
        using var scope = torch.NewDisposeScope();
        var hidden = tokens.Value.index_select(0, ids.flatten()).view(ids.shape[0], ids.shape[1], -1);
        if (Spec.Scale != 1) hidden = hidden * Spec.Scale;
        if (positions is not null) hidden = hidden + positions.Value.narrow(0, Spec.PositionOffset, ids.shape[1]);
        return hidden.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var parameter in OwnParameters) parameter.Dispose();
    }
}
