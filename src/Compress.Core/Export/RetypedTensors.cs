using Compress.Core.Graph;
using Compress.Core.Pipeline;
using Compress.Formats.Checkpoints;
using TorchSharp;

namespace Compress.Core.Export;

/// <summary>A checkpoint in the element types of another: what a dense export of quantized weights stores.</summary>
/// <param name="source">The checkpoint; borrowed.</param>
/// <param name="types">Headers that give the types of tensors by name; others keep theirs.</param>
internal sealed class RetypedTensors(ITensorSource source, IReadOnlyDictionary<string, TensorInfo> types) : ITensorSource
{
    private readonly OrderedDictionary<string, TensorInfo> tensors = new(
        source.Tensors.Values.Select(t => KeyValuePair.Create(
            t.Name, types.TryGetValue(t.Name, out var info) ? TensorInfo.Of(t.Name, info.Type, t.Shape.AsSpan()) : t)), StringComparer.Ordinal);

    private readonly Dictionary<string, NativeTensorMemory> cast = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorInfo> Tensors => tensors;

    /// <inheritdoc/>
    public TensorView Open(string name)
    {
        var view = source.Open(name);
        if (view.Info.Type == tensors[name].Type) return view;
        if (!cast.TryGetValue(name, out var memory)) cast.Add(name, memory = Cast(view, tensors[name]));
        return new TensorView(tensors[name], memory.Address, memory);
    }

    /// <inheritdoc/>
    public void Release(string name)
    {
        source.Release(name);
        if (cast.Remove(name, out var memory)) memory.Dispose();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var memory in cast.Values) memory.Dispose();
        cast.Clear();
    }

    private static NativeTensorMemory Cast(TensorView view, TensorInfo info)
    {
        using var scope = torch.NewDisposeScope();
        var tensor = TensorBridge.Load(view, TensorBridge.ScalarTypeOf(info.Type));
        var (memory, at) = (new NativeTensorMemory(info.ByteCount), 0L);
        StoredWeight.Pieces(tensor, bytes =>
        {
            bytes.CopyTo(memory.Bytes(at, bytes.Length));
            at += bytes.Length;
        });
        return memory;
    }
}
