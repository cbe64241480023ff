using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>One decoder block: its linear sites and its forward pass.</summary>
public sealed class Block : IDisposable
{
    private readonly Attention? attention;
    private readonly Mlp? mlp;
    private readonly Norm? attentionNorm, attentionOutputNorm, mlpNorm, mlpOutputNorm;
    private readonly PositionTables tables;
    private readonly PositionTables? ownTables;

    internal Block(BlockSpec spec, int hidden, IWeightReader reader, PositionTables? tables = null)
    {
        Spec = spec;
        this.tables = tables ?? (ownTables = new PositionTables());
        var parts = new BlockParts(spec, reader);
        attentionNorm = parts.Norm(spec.AttentionNorm, hidden);
        attention = spec.Attention is { } a ? parts.Attention(a) : null;
        attentionOutputNorm = parts.Norm(spec.AttentionOutputNorm, hidden);
        mlpNorm = parts.Norm(spec.MlpNorm, hidden);
        mlp = spec.Mlp is { } m ? parts.Mlp(m) : null;
        mlpOutputNorm = parts.Norm(spec.MlpOutputNorm, hidden);
        Sites = [.. attention?.Sites ?? [], .. mlp?.Sites ?? []];
    }

    /// <summary>The block's description.</summary>
    public BlockSpec Spec { get; }

    /// <summary>Linear sites in the order query, key, value, output, gate, up, down; those of removed sublayers are absent.</summary>
    public IReadOnlyList<LinearSite> Sites { get; }

    /// <summary>Every tensor the block owns.</summary>
    public IEnumerable<torch.Tensor> Parameters => OwnParameters.Select(p => p.Value);

    internal Norm? AttentionNorm => attentionNorm;

    internal Norm? MlpNorm => mlpNorm;

    internal IEnumerable<Parameter> OwnParameters => Norms.SelectMany(n => n.Parameters).Concat(Sites.SelectMany(s => s.Parameters));

    private IEnumerable<Norm> Norms => new[] { attentionNorm, attentionOutputNorm, mlpNorm, mlpOutputNorm }.OfType<Norm>()
        .Concat(attention?.Norms ?? []);

    /// <summary>Loads one block from a checkpoint.</summary>
    /// <param name="source">The checkpoint, already checked against the specification.</param>
    /// <param name="spec">The block.</param>
    /// <param name="type">Type of the weights.</param>
    /// <param name="device">Where they lie.</param>
    /// <param name="tables">Tables shared with other blocks, borrowed; null for the block's own.</param>
    public static Block Load(
        ITensorSource source, BlockSpec spec, torch.ScalarType type, torch.Device device, PositionTables? tables = null)
    {
        using var _ = torch.no_grad();
        return new Block(spec, HiddenSize(spec), new CheckpointReader(source, type, device), tables);
    }

    /// <summary>A block of equal weights, for measuring.</summary>
    /// <param name="spec">The block.</param>
    /// <param name="hiddenSize">Width of the residual stream.</param>
    /// <param name="type">Type of the weights.</param>
    /// <param name="device">Where they lie.</param>
    internal static Block Constant(BlockSpec spec, int hiddenSize, torch.ScalarType type, torch.Device device)
    {
        using var _ = torch.no_grad();
        return new Block(spec, hiddenSize, new ConstantReader(type, device), null);
    }

    /// <summary>The block's output.</summary>
    /// <param name="hidden">Borrowed hidden states <c>[batch, time, hidden]</c>, positions 0 … time − 1.</param>
    /// <param name="observer">Sees the inputs of the linear sites.</param>
    /// <returns>
    /// New hidden states of the same shape and type, in the current dispose scope; intermediates that no gradient needs are gone.
    /// </returns>
    public torch.Tensor Forward(torch.Tensor hidden, IInputObserver? observer = null)
    {
        using var scope = torch.NewDisposeScope();
        var result = hidden;
        if (Spec.ParallelResidual) result = Parallel(hidden, observer);
        else
        {
            if (attention is not null) result = Residual(result, attentionNorm, attentionOutputNorm, x => Attend(x, observer));
            if (mlp is not null) result = Residual(result, mlpNorm, mlpOutputNorm, x => Feed(x, observer));
        }
        return result.MoveToOuterDisposeScope();
    }

    /// <summary>The block's tensors as a checkpoint stores them: fused and transposed where the family does so.</summary>
    /// <returns>Names and tensors; a tensor is the block's own or lies in the current dispose scope.</returns>
    public IEnumerable<(string Name, torch.Tensor Value)> StoredTensors() => Graph.StoredTensors.Of(Norms, Sites);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var parameter in OwnParameters) parameter.Dispose();
        ownTables?.Dispose();
    }

    private torch.Tensor Residual(torch.Tensor hidden, Norm? before, Norm? after, Func<torch.Tensor, torch.Tensor> sublayer)
    {
        // Disposing what a gradient needs only drops a reference to it.
        using var scope = torch.NewDisposeScope();
        if (Spec.PostNorm)
        {
            var sum = hidden + sublayer(hidden);
            return (before is null ? sum : before.Forward(sum, hidden.dtype)).MoveToOuterDisposeScope();
        }
        var change = sublayer(before is null ? hidden : before.Forward(hidden, InputType));
        return (hidden + (after is null ? change : after.Forward(change, hidden.dtype))).MoveToOuterDisposeScope();
    }

    private torch.Tensor Parallel(torch.Tensor hidden, IInputObserver? observer)
    {
        var sum = hidden;
        var normed = attentionNorm?.Forward(hidden, InputType) ?? hidden;
        if (attention is not null) sum = sum + Attend(normed, observer);
        if (mlp is null) return sum;
        if (mlpNorm is not null) return sum + Feed(mlpNorm.Forward(hidden, InputType), observer);
        // Attention has shown the shared input already.
        return sum + (attention is null ? Feed(normed, observer) : mlp.Forward(normed, observer));
    }

    /// <summary>Attention's output before the residual sum.</summary>
    internal torch.Tensor Attend(torch.Tensor x, IInputObserver? observer = null)
    {
        var input = x.to(InputType);
        observer?.OnInput(attention!.Sites[0].InputName, input);
        return attention!.Forward(input, tables, observer);
    }

    /// <summary>The MLP's output before the residual sum.</summary>
    internal torch.Tensor Feed(torch.Tensor x, IInputObserver? observer = null)
    {
        var input = x.to(InputType);
        observer?.OnInput(mlp!.Sites[0].InputName, input);
        return mlp!.Forward(input, observer);
    }

    /// <summary>The type in which the block's linear sites compute.</summary>
    private torch.ScalarType InputType => Sites[0].InputType;

    private static int HiddenSize(BlockSpec spec) =>
        spec.Attention?.Query.InFeatures ?? spec.Mlp?.Up.InFeatures ?? throw new ArgumentException($"{spec.Prefix} has no sublayer");
}
