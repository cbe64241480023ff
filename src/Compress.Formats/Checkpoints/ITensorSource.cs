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
    public long ElementCount { get; } = Shape.Contains(0) ? 0 : Shape.Aggregate(1L, (product, size) => checked(product * size));

    /// <summary>Describes a tensor that is to be written; the byte count follows from type and shape.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="type">How elements are encoded.</param>
    /// <param name="shape">Row-major shape; nothing for a scalar.</param>
    /// <exception cref="ArgumentException">A size is negative, or the elements do not fill whole bytes.</exception>
    public static TensorInfo Of(string name, ElementType type, params ReadOnlySpan<long> shape) =>
        new(name, type, [.. shape], type.ByteCount(shape));

    /// <summary>The shape as it is written in messages, e.g. <c>[4096, 11008]</c>.</summary>
    public string ShapeText => $"[{string.Join(", ", Shape)}]";
}

/// <summary>
/// A tensor's bytes, borrowed from an open <see cref="ITensorSource"/>; valid until the source is disposed. A source that makes tensors
/// on opening keeps the latest 512 MiB of them (and eight at least), so copy one before opening many others.
/// </summary>
/// <param name="Info">The tensor's header entry.</param>
/// <param name="Address">Where the little-endian row-major data begins; not necessarily aligned.</param>
/// <param name="Memory">What the address points into; null where the caller guarantees its lifetime.</param>
public readonly unsafe record struct TensorView(TensorInfo Info, nint Address, TensorMemory? Memory = null)
{
    /// <summary>A window of at most 2 GiB on the data.</summary>
    /// <param name="offset">First byte.</param>
    /// <param name="count">Number of bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">The window leaves the tensor.</exception>
    /// <exception cref="ObjectDisposedException">The source was disposed.</exception>
    public ReadOnlySpan<byte> Bytes(long offset, int count)
    {
        if (Memory is not null) ObjectDisposedException.ThrowIf(Memory.IsReleased, Memory);
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
