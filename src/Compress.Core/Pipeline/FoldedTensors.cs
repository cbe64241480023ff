using Compress.Core.Graph;
using Compress.Formats.Checkpoints;
using TorchSharp;

namespace Compress.Core.Pipeline;

/// <summary>A borrowed checkpoint with the tensors of one block replaced, in memory, until the next block comes.</summary>
/// <param name="below">The checkpoint.</param>
internal sealed class FoldedTensors(ITensorSource below) : ITensorSource
{
    private readonly OrderedDictionary<string, TensorInfo> tensors = new(below.Tensors, StringComparer.Ordinal);
    private readonly Dictionary<string, NativeTensorMemory> folded = new(StringComparer.Ordinal);

    public IReadOnlyDictionary<string, TensorInfo> Tensors => tensors;

    /// <summary>Names of the replaced tensors.</summary>
    public IReadOnlyCollection<string> Folded => folded.Keys;

    /// <summary>Replaces a tensor.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="value">Borrowed value of the stored shape.</param>
    /// <param name="type">Type in which it is seen from now on.</param>
    public void Replace(string name, torch.Tensor value, ElementType type)
    {
        using var scope = torch.NewDisposeScope();
        var info = TensorInfo.Of(name, type, below.Tensors[name].Shape.AsSpan());
        var memory = new NativeTensorMemory(info.ByteCount);
        var at = 0L;
        StoredWeight.Pieces(value.detach().to(TensorBridge.ScalarTypeOf(type)).cpu().contiguous(), bytes =>
        {
            bytes.CopyTo(memory.Bytes(at, bytes.Length));
            at += bytes.Length;
        });
        if (folded.Remove(name, out var old)) old.Dispose();
        folded.Add(name, memory);
        tensors[name] = info;
    }

    public TensorView Open(string name) =>
        folded.TryGetValue(name, out var memory) ? new TensorView(tensors[name], memory.Address, memory) : below.Open(name);

    public void Release(string name)
    {
        if (!folded.ContainsKey(name)) below.Release(name);
    }

    /// <summary>Shows the checkpoint's own tensors again.</summary>
    public void Clear()
    {
        foreach (var (name, memory) in folded)
        {
            memory.Dispose();
            tensors[name] = below.Tensors[name];
            below.Release(name);
        }
        folded.Clear();
    }

    public void Dispose() => Clear();
}
