using System.Runtime.InteropServices;

namespace Compress.Runtime.Model;

/// <summary>Zeroed native floats, aligned to cache lines: the working memory of a session, allocated once.</summary>
internal sealed unsafe class Scratch : IDisposable
{
    private float* floats;

    public Scratch(long count)
    {
        Count = count;
        var bytes = checked((nuint)Math.Max(16, count) * sizeof(float));
        floats = (float*)NativeMemory.AlignedAlloc(bytes, 64);
        NativeMemory.Clear(floats, bytes);
    }

    ~Scratch() => Dispose();

    public long Count { get; }

    public float* Floats => floats;

    public void Dispose()
    {
        NativeMemory.AlignedFree(floats);
        floats = null;
        GC.SuppressFinalize(this);
    }
}
