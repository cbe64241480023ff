using System.Runtime.InteropServices;

namespace Compress.Formats.Checkpoints;

/// <summary>
/// Memory that <see cref="TensorView"/>s point into. A view keeps its memory reachable and refuses to be read once it is released,
/// so that a use after disposal is an exception and not a crash.
/// </summary>
public abstract class TensorMemory : IDisposable
{
    /// <summary>True once the memory was given back; every view of it is void.</summary>
    public bool IsReleased { get; private set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (IsReleased) return;
        IsReleased = true;
        Release();
        GC.SuppressFinalize(this);
    }

    /// <summary>Gives the memory back; called at most once.</summary>
    protected abstract void Release();
}

/// <summary>A 64-byte aligned block outside the managed heap, for tensors that are made on opening rather than mapped.</summary>
public sealed unsafe class NativeTensorMemory : TensorMemory
{
    readonly void* block;

    /// <summary>Allocates a block with undefined content.</summary>
    /// <param name="byteCount">Bytes; 0 is allowed.</param>
    public NativeTensorMemory(long byteCount)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(byteCount);
        ByteCount = byteCount;
        block = NativeMemory.AlignedAlloc((nuint)Math.Max(byteCount, 1), 64);
        GC.AddMemoryPressure(Math.Max(byteCount, 1));
    }

    /// <summary>Frees a block that nobody disposed.</summary>
    ~NativeTensorMemory() => Release();

    /// <summary>Size of the block.</summary>
    public long ByteCount { get; }

    /// <summary>Where the block begins.</summary>
    public nint Address => (nint)block;

    /// <summary>A writable window of at most 2 GiB.</summary>
    /// <param name="offset">First byte.</param>
    /// <param name="count">Number of bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">The window leaves the block.</exception>
    public Span<byte> Bytes(long offset, int count)
    {
        ObjectDisposedException.ThrowIf(IsReleased, this);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, ByteCount - count);
        return new Span<byte>((byte*)block + offset, count);
    }

    /// <inheritdoc/>
    protected override void Release()
    {
        NativeMemory.AlignedFree(block);
        GC.RemoveMemoryPressure(Math.Max(ByteCount, 1));
    }
}
