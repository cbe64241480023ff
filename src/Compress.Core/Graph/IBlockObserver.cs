using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>Sees what happens in and behind the blocks of a forward pass.</summary>
public interface IBlockObserver
{
    /// <summary>What sees the inputs of a block's linear sites; null for nothing.</summary>
    /// <param name="block">Index of the block.</param>
    IInputObserver? Inside(int block);

    /// <summary>Called with each block's output.</summary>
    /// <param name="block">Index of the block.</param>
    /// <param name="hidden">Hidden states <c>[batch, time, hidden]</c>; borrowed for the call, part of the graph of gradients.</param>
    void Behind(int block, torch.Tensor hidden);
}
