using System.Runtime.InteropServices;

namespace Compress.Core.Numerics;

/// <summary>A run of f32 values in memory of its own, aligned to 64 bytes, beyond the reach of the garbage collector.</summary>
public sealed unsafe class NativeBuffer : IDisposable
{
    private float* data;

    /// <summary>Allocates; the content is undefined.</summary>
    /// <param name="length">Number of values.</param>
    /// <exception cref="OutOfMemoryException">The memory is not to be had.</exception>
    public NativeBuffer(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        Length = length;
        data = (float*)NativeMemory.AlignedAlloc(checked((nuint)length * sizeof(float)), 64);
    }

    /// <summary>Frees the memory where <see cref="Dispose"/> was forgotten.</summary>
    ~NativeBuffer() => Free();

    /// <summary>Number of values.</summary>
    public long Length { get; }

    /// <summary>First value.</summary>
    /// <exception cref="ObjectDisposedException">The memory was freed.</exception>
    public float* Data
    {
        get
        {
            ObjectDisposedException.ThrowIf(data is null, this);
            return data;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        NativeMemory.AlignedFree(data);
        data = null;
    }
}
