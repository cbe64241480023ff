using System.Collections.Immutable;
using System.Numerics;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Gguf;

/// <summary>A tensor of a GGUF file.</summary>
/// <param name="Name">Name, e.g. <c>blk.0.attn_q.weight</c>.</param>
/// <param name="Type">How its elements are stored.</param>
/// <param name="Shape">Row-major shape, slowest dimension first (the file stores it reversed).</param>
/// <param name="Offset">First byte in the file.</param>
/// <param name="ByteCount">Bytes of data.</param>
public sealed record GgufTensor(string Name, GgmlType Type, ImmutableArray<long> Shape, long Offset, long ByteCount);

/// <summary>A memory-mapped GGUF file, versions 2 and 3: metadata and tensors, nothing decoded until asked for.</summary>
/// <remarks>Format: ggml, <c>docs/gguf.md</c>. Every count, offset and size is checked against the file when it is opened.</remarks>
public sealed class GgufFile : IDisposable
{
    private const uint Magic = 0x46554747;
    private const int MostDimensions = 4;

    private readonly MappedFile file;

    private GgufFile(MappedFile file, IReadOnlyDictionary<string, object> metadata, IReadOnlyDictionary<string, GgufTensor> tensors)
    {
        this.file = file;
        Metadata = metadata;
        Tensors = tensors;
    }

    /// <summary>Keys and values: boxed numbers, bools, strings, or arrays (<c>uint[]</c>, <c>int[]</c>, <c>float[]</c>, <c>string[]</c>, …).</summary>
    public IReadOnlyDictionary<string, object> Metadata { get; }

    /// <summary>Tensors in file order.</summary>
    public IReadOnlyDictionary<string, GgufTensor> Tensors { get; }

    /// <summary>Opens and checks a file.</summary>
    /// <exception cref="ModelFileException">The file cannot be read or is malformed.</exception>
    public static GgufFile Open(string path)
    {
        var mapped = MappedFile.Open(path);
        try { return Parse(mapped); }
        catch
        {
            mapped.Dispose();
            throw;
        }
    }

    /// <summary>A window of at most 2 GiB on a tensor's stored bytes, valid until the file is disposed.</summary>
    /// <param name="tensor">One of <see cref="Tensors"/>.</param>
    /// <param name="offset">First byte within the tensor.</param>
    /// <param name="count">Number of bytes.</param>
    public ReadOnlySpan<byte> Bytes(GgufTensor tensor, long offset, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, tensor.ByteCount - count);
        return file.Bytes(tensor.Offset + offset, count);
    }

    /// <summary>Where a tensor's bytes begin in memory, valid until the file is disposed.</summary>
    public nint Address(GgufTensor tensor) => file.Address + (nint)tensor.Offset;

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();

    private static GgufFile Parse(MappedFile mapped)
    {
        var reader = new GgufReader(mapped);
        if (mapped.Length < 24 || reader.U32() != Magic) throw reader.Malformed("it does not begin with 'GGUF'.");
        var version = reader.U32();
        if (version is not (2 or 3)) throw reader.Malformed($"version {version} is not 2 or 3 (big-endian files are not read).");
        var tensorCount = reader.Count("tensors", smallest: 24);
        var keyCount = reader.Count("keys", smallest: 13);
        var metadata = new Dictionary<string, object>(StringComparer.Ordinal);
        for (var i = 0; i < keyCount; i++)
        {
            var key = reader.String();
            if (!metadata.TryAdd(key, reader.Value(reader.U32()))) throw reader.Malformed($"key '{key}' stands twice.");
        }
        return new GgufFile(mapped, metadata, ParseTensors(reader, mapped.Length, tensorCount, Alignment(reader, metadata)));
    }

    private static Dictionary<string, GgufTensor> ParseTensors(GgufReader reader, long fileLength, int count, uint alignment)
    {
        var tensors = new Dictionary<string, GgufTensor>(StringComparer.Ordinal);
        var inOrder = new List<GgufTensor>();
        for (var i = 0; i < count; i++) inOrder.Add(TensorHeader(reader));
        var dataStart = AlignUp(reader.Position, alignment);
        foreach (var tensor in inOrder)
        {
            if (tensor.Offset % alignment != 0) throw reader.Malformed($"tensor '{tensor.Name}' is not aligned to {alignment} bytes.");
            if (tensor.Offset > fileLength - dataStart - tensor.ByteCount)
                throw reader.Malformed($"tensor '{tensor.Name}' reaches beyond the end of the file.");
            if (!tensors.TryAdd(tensor.Name, tensor with { Offset = dataStart + tensor.Offset }))
                throw reader.Malformed($"tensor '{tensor.Name}' stands twice.");
        }
        return tensors;
    }

    /// <summary>A tensor whose offset is still relative to the data section.</summary>
    private static GgufTensor TensorHeader(GgufReader reader)
    {
        var name = reader.String();
        var dimensions = reader.U32();
        if (dimensions > MostDimensions) throw reader.Malformed($"tensor '{name}' has {dimensions} dimensions.");
        var shape = new long[dimensions];
        for (var d = (int)dimensions - 1; d >= 0; d--)
        {
            var size = reader.U64();
            if (size is 0 or > long.MaxValue) throw reader.Malformed($"tensor '{name}' has a dimension of {size}.");
            shape[d] = (long)size;
        }
        var type = (GgmlType)reader.U32();
        if (!GgmlTypes.IsKnown(type)) throw reader.Malformed($"tensor '{name}' has type {(int)type}, which is not supported.");
        var offset = reader.U64();
        try
        {
            var rowBytes = type.RowBytes(shape.Length == 0 ? 1 : shape[^1]);
            var bytes = shape.SkipLast(1).Aggregate(rowBytes, (product, size) => checked(product * size));
            return new GgufTensor(name, type, [.. shape], checked((long)offset), bytes);
        }
        catch (Exception e) when (e is OverflowException or ArgumentException)
        {
            throw reader.Malformed($"tensor '{name}' of shape [{string.Join(", ", shape)}] cannot be {type}.");
        }
    }

    private static uint Alignment(GgufReader reader, Dictionary<string, object> metadata)
    {
        if (!metadata.TryGetValue("general.alignment", out var value)) return 32;
        return value is uint alignment && BitOperations.IsPow2(alignment) && alignment <= 1 << 20
            ? alignment
            : throw reader.Malformed($"general.alignment is {value}, not a power of two.");
    }

    private static long AlignUp(long position, uint alignment) => (position + alignment - 1) / alignment * alignment;
}
