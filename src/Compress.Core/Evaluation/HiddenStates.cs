using Compress.Core.Graph;
using Compress.Formats.Architectures;
using static TorchSharp.torch;

namespace Compress.Core.Evaluation;

/// <summary>
/// What a model's last block gives for some windows, computed one block at a time, so that one block's weights are in memory
/// whatever the model's depth.
/// </summary>
internal sealed class HiddenStates : IDisposable
{
    /// <summary>Tokens in one forward pass: enough to keep the matrix products busy, few enough to keep activations small.</summary>
    private const int TokensPerPass = 2048;

    /// <summary>Hidden states <c>[windows, length, hidden]</c> of neighbours of one length.</summary>
    private readonly List<Tensor> batches = [];

    /// <summary>Batch and index in it of each window.</summary>
    private readonly List<(int Batch, int Index)> places = [];

    private HiddenStates()
    {
    }

    /// <summary>Takes windows through embedding and blocks.</summary>
    /// <param name="model">The model.</param>
    /// <param name="windows">The windows.</param>
    /// <param name="type">Arithmetic of the blocks.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="advance">Called with a number of windows that passed one more block.</param>
    /// <param name="cancellation">Stops between passes.</param>
    public static HiddenStates Compute(
        EvaluatedModel model, IReadOnlyList<ScoredWindow> windows, ScalarType type, Device device, Action<int> advance,
        CancellationToken cancellation)
    {
        var states = new HiddenStates();
        using var tables = new PositionTables();
        try
        {
            states.Embed(model, windows, device);
            foreach (var spec in model.Spec.Blocks)
            {
                using var block = LoadBlock(model, spec, type, device, tables);
                states.Advance(block, advance, cancellation);
            }
            return states;
        }
        catch
        {
            states.Dispose();
            throw;
        }
    }

    /// <summary>Hidden states of a window, <c>[length, hidden]</c>; the caller disposes the view.</summary>
    public Tensor Window(int index) => batches[places[index].Batch][places[index].Index];

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var batch in batches) batch.Dispose();
        batches.Clear();
    }

    /// <remarks>The residual stream is f32 whatever the blocks' type.</remarks>
    private void Embed(EvaluatedModel model, IReadOnlyList<ScoredWindow> windows, Device device)
    {
        using var rows = new EmbeddedRows(model, windows);
        using var embedding = rows.Load(device);
        for (var first = 0; first < windows.Count;)
        {
            using var scope = NewDisposeScope();
            var length = windows[first].Ids.Length;
            var count = BatchSize(windows, first);
            var ids = new long[count * length];
            for (var i = 0; i < ids.Length; i++) ids[i] = rows.RowOf(windows[first + i / length].Ids.Span[i % length]);
            for (var i = 0; i < count; i++) places.Add((batches.Count, i));
            batches.Add(embedding.Forward(tensor(ids, device: device).reshape(count, length)).MoveToOuterDisposeScope());
            first += count;
        }
    }

    private static Block LoadBlock(EvaluatedModel model, BlockSpec spec, ScalarType type, Device device, PositionTables tables)
    {
        using var tensors = new StreamedTensors(model.Tensors);
        return Block.Load(tensors, spec, type, device, tables);
    }

    private void Advance(Block block, Action<int> advance, CancellationToken cancellation)
    {
        for (var i = 0; i < batches.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var output = block.Forward(batches[i]).MoveToOuterDisposeScope();
            batches[i].Dispose();
            batches[i] = output;
            advance((int)output.shape[0]);
        }
    }

    /// <summary>How many windows from the given one on go through together: neighbours of one length.</summary>
    private static int BatchSize(IReadOnlyList<ScoredWindow> windows, int first)
    {
        var length = windows[first].Ids.Length;
        var most = Math.Min(windows.Count - first, Math.Max(1, TokensPerPass / length));
        var count = 1;
        while (count < most && windows[first + count].Ids.Length == length) count++;
        return count;
    }
}
