using System.Collections.Immutable;

namespace Compress.Formats.Checkpoints;

/// <summary>What a checkpoint's header says of one tensor.</summary>
/// <param name="Name">The tensor's name, in Hugging Face's naming for imported formats too.</param>
/// <param name="Type">How elements are encoded.</param>
/// <param name="Shape">Row-major shape; empty for a scalar. A linear weight is <c>[out, in]</c>.</param>
/// <param name="ByteCount">Bytes of data.</param>
public sealed record TensorInfo(string Name, ElementType Type, ImmutableArray<long> Shape, long ByteCount)
{
    /// <summary>Number of elements (1 for a scalar).</summary>
    public long ElementCount { get; } = Shape.Aggregate(1L, (product, size) => checked(product * size));
}

/// <summary>A tensor's bytes, borrowed from an open <see cref="ITensorSource"/>; valid until the source is disposed.</summary>
/// <param name="Info">The tensor's header entry.</param>
/// <param name="Address">Where the little-endian row-major data begins; not necessarily aligned.</param>
public readonly unsafe record struct TensorView(TensorInfo Info, nint Address)
{
    /// <summary>A window of at most 2 GiB on the data.</summary>
    /// <param name="offset">First byte.</param>
    /// <param name="count">Number of bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">The window leaves the tensor.</exception>
    public ReadOnlySpan<byte> Bytes(long offset, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Info.ByteCount - count);
        return new ReadOnlySpan<byte>((byte*)Address + offset, count);
    }
}

/// <summary>
/// A checkpoint's tensors by name, memory-mapped: nothing is read before it is asked for. Implemented by safetensors folders,
/// imports (llama2.c) and stage checkpoints.
/// </summary>
public interface ITensorSource : IDisposable
{
    /// <summary>Every tensor, in file order.</summary>
    IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>Opens one tensor.</summary>
    /// <exception cref="ModelFileException">No tensor of that name exists; the nearest names are given.</exception>
    TensorView Open(string name);

    /// <summary>
    /// Says that no view of a tensor is in use any more, so that what the source holds in memory for it (mapped pages that were
    /// read, a decoded copy) can go. Views opened before become invalid; the tensor can be opened again.
    /// </summary>
    /// <remarks>Whoever streams through a checkpoint calls this after copying, so that resident memory stays at one block.</remarks>
    void Release(string name) { }
}
