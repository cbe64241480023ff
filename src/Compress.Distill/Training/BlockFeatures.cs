using Compress.Core.Graph;
using static TorchSharp.torch;

namespace Compress.Distill.Training;

/// <summary>Takes from a forward pass what block losses compare.</summary>
/// <param name="graph">The model that runs; null where there is none.</param>
/// <param name="terms">Terms with the block of this model that each looks at.</param>
internal sealed class BlockFeatures(ModelGraph? graph, IEnumerable<(int Block, BlockTerm Term)> terms) : IBlockObserver, IInputObserver, IDisposable
{
    private readonly ILookup<int, BlockTerm> terms = terms.ToLookup(t => t.Block, t => t.Term);
    private readonly Dictionary<BlockTerm, IReadOnlyList<Tensor>> features = [];
    private Tensor? attentionInput;

    /// <summary>What a term compares.</summary>
    public IReadOnlyList<Tensor> Of(BlockTerm term) => features[term];

    /// <inheritdoc/>
    public IInputObserver? Inside(int block) => terms.Contains(block) ? this : null;

    /// <inheritdoc/>
    public void OnInput(string name, Tensor input)
    {
        if (name.EndsWith(".attn_in", StringComparison.Ordinal)) attentionInput = input.alias().DetachFromDisposeScope();
    }

    /// <inheritdoc/>
    public void Behind(int block, Tensor hidden)
    {
        foreach (var term in terms[block]) features.Add(term, term.Features(graph!.Blocks[block], attentionInput, hidden));
        attentionInput?.Dispose();
        attentionInput = null;
    }

    /// <inheritdoc/>
    public void Dispose() => attentionInput?.Dispose();
}
