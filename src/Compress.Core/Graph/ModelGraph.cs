using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>A causal language model in torch; the same differentiable forward pass serves calibration, evaluation and training.</summary>
/// <remarks>
/// Norms, rotary and softmax run in f32 whatever the weights' type. The graph's tensors belong to no dispose scope; what a forward
/// pass makes lies in the caller's scope.
/// </remarks>
public sealed class ModelGraph : IDisposable
{
    private readonly PositionTables tables = new();
    private torch.ScalarType? computeType;

    internal ModelGraph(ModelSpec spec, IWeightReader reader)
    {
        Spec = spec;
        Embedding = new Embedding(spec, reader);
        Blocks = [.. spec.Blocks.Select(b => new Block(b, spec.HiddenSize, reader, tables))];
        Head = new Head(spec, reader, spec.Head.Tied ? Embedding.TokenParameter : null);
    }

    /// <summary>The model's description.</summary>
    public ModelSpec Spec { get; }

    /// <summary>Input embedding.</summary>
    public Embedding Embedding { get; }

    /// <summary>Decoder blocks in order.</summary>
    public IReadOnlyList<Block> Blocks { get; }

    /// <summary>Final norm and output head.</summary>
    public Head Head { get; }

    /// <summary>Linear sites of all blocks in order, then the head.</summary>
    public IEnumerable<LinearSite> Sites => Blocks.SelectMany(b => b.Sites).Append(Head.Site);

    /// <summary>
    /// Type of all matrix products where it differs from the weights'; f32 weights with bf16 products is how training runs fast.
    /// Null computes in the weights' own type.
    /// </summary>
    public torch.ScalarType? ComputeType
    {
        get => computeType;
        set
        {
            computeType = value;
            foreach (var site in Sites) site.ComputeType = value;
        }
    }

    /// <summary>
    /// Every trainable tensor, a tied table once, by its checkpoint name; parts of a fused tensor by their site's name and
    /// <c>.weight</c> or <c>.bias</c>. What to write to a checkpoint is <see cref="StoredTensors"/>.
    /// </summary>
    public IEnumerable<(string Name, torch.Tensor Value)> NamedParameters => Embedding.OwnParameters
        .Concat(Blocks.SelectMany(b => b.OwnParameters))
        .Concat(Head.OwnParameters)
        .Select(p => (p.Name, p.Value));

    /// <summary>Loads a whole model.</summary>
    /// <param name="source">The checkpoint, already checked against the specification.</param>
    /// <param name="spec">The model.</param>
    /// <param name="type">Type of the weights.</param>
    /// <param name="device">Where they lie.</param>
    public static ModelGraph Load(ITensorSource source, ModelSpec spec, torch.ScalarType type, torch.Device device)
    {
        using var _ = torch.no_grad();
        return new ModelGraph(spec, new CheckpointReader(source, type, device));
    }

    /// <summary>
    /// A model to be trained: normal weights with deviation 0.02, residual outputs smaller by √(2 · blocks), norms one, biases zero.
    /// </summary>
    /// <param name="spec">The model.</param>
    /// <param name="seed">The same seed gives the same weights.</param>
    /// <param name="type">Type of the weights.</param>
    /// <param name="device">Where they lie.</param>
    public static ModelGraph Random(ModelSpec spec, int seed, torch.ScalarType type, torch.Device device)
    {
        using var _ = torch.no_grad();
        return new ModelGraph(spec, new RandomReader(seed, spec.Blocks.Length, type, device));
    }

    /// <summary>All tensors as a checkpoint stores them: fused and transposed where the family does so, a tied table once.</summary>
    /// <returns>Names and tensors; a tensor is the graph's own or lies in the current dispose scope.</returns>
    public IEnumerable<(string Name, torch.Tensor Value)> StoredTensors() => Embedding.OwnParameters.Select(p => (p.Name, p.Value))
        .Concat(Blocks.SelectMany(b => b.StoredTensors()))
        .Concat(Head.StoredTensors());

    /// <summary>Hidden states after the last block, before the final norm.</summary>
    /// <param name="ids">Borrowed ids <c>[batch, time]</c>, int64.</param>
    /// <param name="observer">Sees the blocks' inputs and outputs; null for nobody.</param>
    /// <returns>Hidden states <c>[batch, time, hidden]</c>, in the current dispose scope.</returns>
    public torch.Tensor Hidden(torch.Tensor ids, IBlockObserver? observer = null)
    {
        var hidden = Embedding.Forward(ids);
        for (var i = 0; i < Blocks.Count; i++)
        {
            using var input = hidden;
            hidden = Blocks[i].Forward(input, observer?.Inside(i));
            observer?.Behind(i, hidden);
        }
        return hidden;
    }

    /// <summary>Logits of every position.</summary>
    /// <param name="ids">Borrowed ids <c>[batch, time]</c>, int64.</param>
    /// <returns>Logits <c>[batch, time, vocabulary]</c>, f32, in the current dispose scope.</returns>
    public torch.Tensor Forward(torch.Tensor ids)
    {
        using var hidden = Hidden(ids);
        return Head.Forward(hidden);
    }

    /// <summary>Mean cross-entropy of targets, without ever holding all logits; the loss that training minimises.</summary>
    /// <param name="ids">Borrowed ids <c>[batch, time]</c>, int64.</param>
    /// <param name="targets">Borrowed target of each position, shaped as <paramref name="ids"/>; −100 leaves a position out.</param>
    /// <returns>Scalar loss in nats, differentiable once, in the current dispose scope.</returns>
    public torch.Tensor CrossEntropy(torch.Tensor ids, torch.Tensor targets)
    {
        using var hidden = Hidden(ids);
        return Head.CrossEntropy(hidden, targets);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Embedding.Dispose();
        foreach (var block in Blocks) block.Dispose();
        Head.Dispose();
        tables.Dispose();
    }
}
