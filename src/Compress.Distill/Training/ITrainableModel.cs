using static TorchSharp.torch;

namespace Compress.Distill.Training;

/// <summary>A weight that training changes.</summary>
/// <param name="Name">Name in the checkpoint.</param>
/// <param name="Value">Leaf tensor with <c>requires_grad</c>, f32 or bf16; borrowed. The optimiser writes new values into it.</param>
/// <param name="Decays">True where weight decay applies: matrices of linear sites, not norms, biases and token tables.</param>
public readonly record struct TrainableParameter(string Name, Tensor Value, bool Decays);

/// <summary>What the trainer needs of a model.</summary>
public interface ITrainableModel
{
    /// <summary>All weights, each once (a tied head is not listed again), in a fixed order.</summary>
    IReadOnlyList<TrainableParameter> Parameters { get; }

    /// <summary>Where the weights are.</summary>
    Device Device { get; }

    /// <summary>
    /// Runs forward and backward on windows. Gradients of <paramref name="scale"/> times the mean next-token loss are added to
    /// the parameters' <c>grad</c>.
    /// </summary>
    /// <param name="tokens">Borrowed token ids, i64, <c>[windows, length + 1]</c>: all but the last are inputs, all but the first targets.</param>
    /// <param name="scale">Factor on the gradient.</param>
    /// <returns>Mean loss in nats a token, unscaled.</returns>
    double Backward(Tensor tokens, double scale);

    /// <summary>The optimiser has written new values into <see cref="Parameters"/>; called before the next pass.</summary>
    void WeightsChanged()
    {
    }
}
