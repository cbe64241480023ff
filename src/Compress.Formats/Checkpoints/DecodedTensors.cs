namespace Compress.Formats.Checkpoints;

/// <summary>
/// Tensors that are made on opening rather than mapped. The latest are kept, up to a number of bytes, so that opening one again is
/// cheap and reading a large model through holds only a part of it.
/// </summary>
internal sealed class DecodedTensors : IDisposable
{
    const long KeptBytes = 512L << 20;
    const int KeptAtLeast = 8;

    readonly Lock gate = new();
    readonly OrderedDictionary<string, NativeTensorMemory> kept = new(StringComparer.Ordinal);
    long bytes;
    bool disposed;

    /// <summary>The tensor's memory, made by <paramref name="decode"/> if it is not kept.</summary>
    public TensorView Open(TensorInfo info, Action<NativeTensorMemory> decode)
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            if (!kept.TryGetValue(info.Name, out var memory))
            {
                memory = Decode(info, decode);
                bytes += info.ByteCount;
            }
            else
            {
                kept.Remove(info.Name);
            }
            kept.Add(info.Name, memory);
            while (bytes > KeptBytes && kept.Count > KeptAtLeast)
            {
                var oldest = kept.GetAt(0);
                kept.RemoveAt(0);
                bytes -= oldest.Value.ByteCount;
                oldest.Value.Dispose();
            }
            return new TensorView(info, memory.Address, memory);
        }
    }

    /// <summary>Frees a tensor that is not in use any more.</summary>
    public void Release(string name)
    {
        lock (gate)
        {
            if (!kept.Remove(name, out var memory)) return;
            bytes -= memory.ByteCount;
            memory.Dispose();
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            disposed = true;
            foreach (var memory in kept.Values) memory.Dispose();
            kept.Clear();
        }
    }

    static NativeTensorMemory Decode(TensorInfo info, Action<NativeTensorMemory> decode)
    {
        var memory = new NativeTensorMemory(info.ByteCount);
        try
        {
            decode(memory);
            return memory;
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }
}
