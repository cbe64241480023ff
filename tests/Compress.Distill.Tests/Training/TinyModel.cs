using Compress.Distill.Training;
using static TorchSharp.torch;

namespace Compress.Distill.Tests.Training;

/// <summary>A bigram model with one hidden layer: the smallest thing with a matrix, a table and a norm-like vector.</summary>
sealed class TinyModel : ITrainableModel, IDisposable
{
    const int Vocabulary = 11, Width = 8;
    readonly Tensor table, hidden, head, scale;

    public TinyModel(ScalarType type = ScalarType.Float32)
    {
        Core.Torch.TorchBackend.EnsureLoaded();
        using var scope = NewDisposeScope();
        using var generator = new Generator(42);
        Tensor Leaf(params long[] shape) =>
            (randn(shape, generator: generator) * 0.5).to(type).detach().requires_grad_(true).DetachFromDisposeScope();
        (table, hidden, head, scale) = (Leaf(Vocabulary, Width), Leaf(Width, Width), Leaf(Vocabulary, Width), Leaf(Width));
        Parameters = [new("table", table, false), new("hidden", hidden, true), new("scale", scale, false), new("head", head, true)];
    }

    public IReadOnlyList<TrainableParameter> Parameters { get; }

    public Device Device => CPU;

    /// <summary>Makes the next loss this value instead.</summary>
    public double? FalseLoss { get; set; }

    public double Backward(Tensor tokens, double scale)
    {
        using var scope = NewDisposeScope();
        var length = tokens.shape[1] - 1;
        var x = table.index_select(0, tokens.narrow(1, 0, length).reshape(-1));
        x = tanh(nn.functional.linear(x, hidden)) * this.scale;
        var logits = nn.functional.linear(x, head).to(float32);
        var loss = nn.functional.cross_entropy(logits, tokens.narrow(1, 1, length).reshape(-1));
        (loss * scale).backward();
        return FalseLoss ?? loss.item<float>();
    }

    public void Dispose()
    {
        foreach (var tensor in new[] { table, hidden, head, scale }) tensor.Dispose();
    }

    /// <summary>Documents in which a token mostly determines the next.</summary>
    public static int[][] Documents() =>
        [.. Enumerable.Range(0, 20).Select(d => Enumerable.Range(0, 50 + d).Select(t => (t * (1 + d % 3) + d * d) % Vocabulary).ToArray())];
}
