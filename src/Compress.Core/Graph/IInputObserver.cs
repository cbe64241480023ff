using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>Sees the inputs of linear sites during a forward pass: how calibration gathers statistics.</summary>
public interface IInputObserver
{
    /// <summary>Called once for each input, before the sites that share it run.</summary>
    /// <param name="inputName">The sites' <see cref="LinearSite.InputName"/>.</param>
    /// <param name="x">Borrowed input <c>[batch, time, in]</c>, in the type in which the sites compute.</param>
    void OnInput(string inputName, torch.Tensor x);
}
