using Compress.Core.Graph;
using static TorchSharp.torch;

namespace Compress.Distill.Training;

/// <summary>Trains a <see cref="ModelGraph"/> on next-token prediction.</summary>
public sealed class GraphTrainable : ITrainableModel
{
    readonly ModelGraph graph;

    /// <summary>Marks the graph's weights as trainable.</summary>
    /// <param name="graph">Borrowed model.</param>
    public GraphTrainable(ModelGraph graph)
    {
        this.graph = graph;
        var matrices = graph.Sites.Select(s => s.Weight).Where(w => !ReferenceEquals(w, graph.Embedding.Tokens)).ToHashSet();
        Parameters = [.. graph.NamedParameters.Select(p => new TrainableParameter(p.Name, p.Value, matrices.Contains(p.Value)))];
        foreach (var parameter in Parameters) parameter.Value.requires_grad = true;
    }

    /// <inheritdoc/>
    public IReadOnlyList<TrainableParameter> Parameters { get; }

    /// <inheritdoc/>
    public Device Device => graph.Embedding.Tokens.device;

    /// <inheritdoc/>
    public double Backward(Tensor tokens, double scale)
    {
        using var scope = NewDisposeScope();
        var length = tokens.shape[1] - 1;
        var loss = graph.CrossEntropy(tokens.narrow(1, 0, length), tokens.narrow(1, 1, length));
        (loss * scale).backward();
        return loss.item<float>();
    }
}
