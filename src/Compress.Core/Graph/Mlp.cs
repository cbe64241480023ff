using Compress.Formats.Architectures;
using TorchSharp;
using TorchSharp.Modules;

namespace Compress.Core.Graph;

/// <summary>Gated or plain feed-forward part.</summary>
internal sealed class Mlp(LinearSite? gate, LinearSite up, LinearSite down, Activation activation)
{
    public IReadOnlyList<LinearSite> Sites { get; } = gate is null ? [up, down] : [gate, up, down];

    /// <summary>The output before the residual sum.</summary>
    /// <param name="x">Normalised hidden states <c>[batch, time, hidden]</c>; the caller has shown them to the observer.</param>
    /// <param name="observer">Takes the down projection's input.</param>
    public torch.Tensor Forward(torch.Tensor x, IInputObserver? observer)
    {
        using var channels = Channels(x);
        observer?.OnInput(down.InputName, channels);
        return down.Forward(channels);
    }

    private torch.Tensor Channels(torch.Tensor x)
    {
        using var inner = up.Forward(x);
        if (gate is null) return Activate(inner);
        using var gated = gate.Forward(x);
        using var active = Activate(gated);
        return active * inner;
    }

    private torch.Tensor Activate(torch.Tensor x) => activation switch
    {
        Activation.Silu => torch.nn.functional.silu(x),
        Activation.Gelu => torch.nn.functional.gelu(x),
        Activation.GeluTanh => x.gelu(GELU.Approximate.tanh),
        Activation.Relu => torch.nn.functional.relu(x),
        _ => throw new InvalidOperationException($"activation {activation}"),
    };
}
