using Compress.Core.Graph;
using static TorchSharp.torch;

namespace Compress.Distill.Training;

/// <summary>Trains a <see cref="ModelGraph"/> on next-token prediction.</summary>
/// <remarks>
/// The head and the loss run in chunks of rows with a gradient written out by hand: logits of one chunk (a few megabytes) exist
/// at a time, where automatic differentiation would keep those of the whole batch, and the next reader finds them in the cache.
/// For logits z = h Wᵀ, the mean loss over n rows has ∂/∂z = (softmax(z) − onehot(target)) / n.
/// </remarks>
public sealed class GraphTrainable : ITrainableModel
{
    /// <summary>Rows of one chunk: logits of 256 rows and a vocabulary of 4096 fill 4 MB.</summary>
    const int ChunkRows = 256;

    readonly ModelGraph graph;
    readonly Tensor headWeight;

    /// <summary>Marks the graph's weights as trainable.</summary>
    /// <param name="graph">Borrowed model; head without bias and without soft cap.</param>
    /// <exception cref="ArgumentException">The head has a bias or a soft cap.</exception>
    public GraphTrainable(ModelGraph graph)
    {
        if (graph.Head.Site.Bias is not null || graph.Head.Spec.SoftCap is not null)
            throw new ArgumentException("the loss supports heads without bias and soft cap", nameof(graph));
        this.graph = graph;
        headWeight = graph.Head.Site.Weight;
        var matrices = graph.Sites.Select(s => s.Weight).Where(w => !ReferenceEquals(w, graph.Embedding.Tokens)).ToHashSet();
        Parameters = [.. graph.NamedParameters.Select(p => new TrainableParameter(p.Name, p.Value, matrices.Contains(p.Value)))];
        foreach (var parameter in Parameters) parameter.Value.requires_grad = true;
    }

    /// <inheritdoc/>
    public IReadOnlyList<TrainableParameter> Parameters { get; }

    /// <inheritdoc/>
    public Device Device => headWeight.device;

    /// <inheritdoc/>
    public double Backward(Tensor tokens, double scale)
    {
        using var scope = NewDisposeScope();
        var length = tokens.shape[1] - 1;
        var targets = tokens.narrow(1, 1, length).reshape(-1);
        var hidden = graph.Head.Normalize(graph.Hidden(tokens.narrow(1, 0, length))).flatten(0, 1);
        var (loss, hiddenGradient, headGradient) = HeadGradients(hidden, targets, scale);
        hidden.backward([hiddenGradient]);
        using var guard = no_grad();
        if (headWeight.grad is { } gradient) gradient.add_(headGradient);
        else headWeight.grad = headGradient.to(headWeight.dtype).DetachFromDisposeScope();
        return loss;
    }

    (double Loss, Tensor Hidden, Tensor Head) HeadGradients(Tensor hidden, Tensor targets, double scale)
    {
        using var guard = no_grad();
        var rows = hidden.shape[0];
        var weight = headWeight.to(hidden.dtype);
        var hiddenGradient = empty_like(hidden);
        var headGradient = zeros(headWeight.shape, float32, hidden.device);
        var loss = 0.0;
        for (long at = 0; at < rows; at += ChunkRows)
        {
            using var scope = NewDisposeScope();
            var count = Math.Min(ChunkRows, rows - at);
            var chunk = hidden.narrow(0, at, count);
            var target = targets.narrow(0, at, count).unsqueeze(1);
            var logProbability = nn.functional.log_softmax(matmul(chunk, weight.t()).to(float32), -1);
            loss -= logProbability.gather(1, target).sum().item<float>();
            var logitGradient = logProbability.exp_().scatter_add_(1, target, full_like(target, -1, float32)).mul_(scale / rows).to(hidden.dtype);
            hiddenGradient.narrow(0, at, count).copy_(matmul(logitGradient, weight));
            headGradient.add_(matmul(logitGradient.t(), chunk));
        }
        return (loss / rows, hiddenGradient, headGradient);
    }
}
