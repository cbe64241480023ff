using Compress.Distill.Training;

namespace Compress.Distill.Weights;

/// <summary>
/// How a weight of the model depends on what the optimiser changes. The model computes with the weight itself; the map carries the weight's
/// gradient back to its parameters, and its parameters' new values into the weight.
/// </summary>
internal interface IWeightMap : IDisposable
{
    /// <summary>What the optimiser changes.</summary>
    IReadOnlyList<TrainableParameter> Parameters { get; }

    /// <summary>Turns the gradient of the weight into gradients of the parameters; called after each backward pass.</summary>
    void PullBack();

    /// <summary>Computes the weight from the parameters; called after each step.</summary>
    void Update();
}
