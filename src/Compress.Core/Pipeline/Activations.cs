using Compress.Core.Graph;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using static TorchSharp.torch;

namespace Compress.Core.Pipeline;

/// <summary>
/// The hidden states of all calibration windows between two blocks, in one buffer <c>[samples, length, hidden]</c> that each block
/// overwrites in place: memory does not grow with depth.
/// </summary>
internal sealed class Activations : IDisposable
{
    private readonly Tensor hidden;
    private readonly ForwardSettings settings;
    private readonly CancellationToken cancellation;

    private Activations(Tensor hidden, ForwardSettings settings, CancellationToken cancellation)
    {
        this.hidden = hidden;
        this.settings = settings;
        this.cancellation = cancellation;
    }

    private long Samples => hidden.shape[0];

    /// <summary>Embeds every window.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="model">What it holds.</param>
    /// <param name="windows">Token ids, all of one length.</param>
    /// <param name="settings">Types, device and batch.</param>
    /// <param name="cancellation">Checked between batches.</param>
    public static Activations Embed(ITensorSource source, ModelSpec model, IReadOnlyList<int[]> windows, ForwardSettings settings,
        CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var buffer = empty([windows.Count, windows[0].Length, model.HiddenSize], settings.Residual, settings.Device);
        var result = new Activations(buffer.DetachFromDisposeScope(), settings, cancellation);
        try
        {
            using var embedding = Embedding.Load(source, model, TableType(source, model), settings.Device);
            foreach (var (first, count, target) in result.Batches())
            {
                using var inner = NewDisposeScope();
                var ids = stack([.. windows.Skip(first).Take(count).Select(w => tensor(w, ScalarType.Int64, settings.Device))]);
                target.copy_(embedding.Forward(ids));
            }
            source.Release(model.Embedding.Tokens);
            return result;
        }
        catch
        {
            result.Dispose();
            throw;
        }
    }

    /// <summary>Runs every window through a block for its inputs' sake; the buffer stays as it is.</summary>
    public void Observe(Block block, IInputObserver observer) => ForEachBatch(batch => block.Forward(batch, observer));

    /// <summary>Runs the first windows through a block.</summary>
    public void Observe(Block block, IInputObserver observer, int windows) => ForEachBatch((first, batch) =>
    {
        if (first < windows) block.Forward(batch.narrow(0, 0, Math.Min(batch.shape[0], windows - first)), observer);
    });

    /// <summary>Shows an observer the head's input.</summary>
    public void Observe(Head head, IInputObserver observer) =>
        ForEachBatch(batch => observer.OnInput(head.Site.InputName, head.Normalize(batch)));

    /// <summary>Replaces the buffer by the block's outputs.</summary>
    public void Advance(Block block) => ForEachBatch(batch => batch.copy_(block.Forward(batch)));

    public void Dispose() => hidden.Dispose();

    /// <summary>Hands over the hidden states of some windows after the others: index of the first window, and the states <c>[windows, length, hidden]</c>.</summary>
    public void ForEachBatch(Action<int, Tensor> action)
    {
        using var _ = no_grad();
        foreach (var (first, _, batch) in Batches())
        {
            using var scope = NewDisposeScope();
            action(first, batch);
        }
    }

    private void ForEachBatch(Action<Tensor> action) => ForEachBatch((_, batch) => action(batch));

    private IEnumerable<(int First, int Count, Tensor Batch)> Batches()
    {
        for (var first = 0; first < Samples; first += settings.BatchSize)
        {
            cancellation.ThrowIfCancellationRequested();
            var count = (int)Math.Min(settings.BatchSize, Samples - first);
            using var batch = hidden.narrow(0, first, count);
            yield return (first, count, batch);
        }
    }

    /// <summary>The table's own type where a look-up is all that happens to it (no rounding, half the memory); otherwise f32.</summary>
    private static ScalarType TableType(ITensorSource source, ModelSpec model) => model.Embedding is { Positions: null, Scale: 1 } embedding
        ? TensorBridge.ScalarTypeOf(source.Tensors[embedding.Tokens].Type)
        : ScalarType.Float32;
}
