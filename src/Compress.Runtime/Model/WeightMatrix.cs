using System.Runtime.InteropServices;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using Compress.Formats.Gguf;
using Compress.Runtime.Kernels;
using Compress.Runtime.Kernels.Panels;
using Compress.Runtime.Threading;

namespace Compress.Runtime.Model;

/// <summary>An encoded weight <c>[rows, columns]</c>: memory-mapped as it is stored, or a padded copy where rows are not whole groups of 32.</summary>
internal sealed unsafe class WeightMatrix : IDisposable
{
    private readonly Func<EncodedWeight>? encoded;
    private byte* data;
    private void* owned;

    private WeightMatrix(GgmlType type, int rows, int columns, int paddedColumns, byte* data, void* owned, long storedBytes)
    {
        Type = type;
        Kernel = Codecs.For(type);
        (Rows, Columns, PaddedColumns) = (rows, columns, paddedColumns);
        this.data = data;
        this.owned = owned;
        StoredBytes = storedBytes;
    }

    private WeightMatrix(GgmlType type, int rows, int columns, int padded, Func<EncodedWeight> read)
        : this(type, rows, columns, padded, null, null, (long)rows * padded * type.BlockBytes()) => encoded = read;

    /// <summary>How the checkpoint encodes the weight, in words, once it was read; null where it is used as stored.</summary>
    public string? Encoding { get; set; }

    /// <summary>Storage type.</summary>
    public GgmlType Type { get; }

    public int Rows { get; }

    public int Columns { get; }

    /// <summary>Columns as the kernels see them: activations must be zero beyond <see cref="Columns"/>.</summary>
    public int PaddedColumns { get; }

    /// <summary>Bytes that one pass over the weight reads.</summary>
    public long StoredBytes { get; }

    public Kernel Kernel { get; }

    public byte* Data => data;

    /// <summary>True where <see cref="Data"/> is there.</summary>
    public bool HasRows => data != null;

    /// <summary>Wraps rows that lie one after the other; <paramref name="address"/> must outlive the matrix.</summary>
    public static WeightMatrix Borrow(GgmlType type, int rows, int columns, nint address)
    {
        var bytes = rows * type.RowBytes(columns);
        if (columns % 32 == 0) return new WeightMatrix(type, rows, columns, columns, (byte*)address, null, bytes);
        var padded = (columns + 31) / 32 * 32;
        var from = type.RowBytes(columns);
        var to = type.RowBytes(padded);
        var copy = (byte*)NativeMemory.AlignedAlloc((nuint)(rows * to), 64);
        NativeMemory.Clear(copy, (nuint)(rows * to));
        for (var r = 0; r < rows; r++) Buffer.MemoryCopy((byte*)address + r * from, copy + r * to, to, from);
        return new WeightMatrix(type, rows, columns, padded, copy, copy, rows * to);
    }

    /// <summary>A weight of an encoded checkpoint, read when it is laid out or, where that cannot be, decoded to floats.</summary>
    /// <param name="type">A type of floats that holds what it decodes to exactly.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="read">Reads the weight.</param>
    public static WeightMatrix Encoded(GgmlType type, int rows, int columns, Func<EncodedWeight> read) =>
        new(type, rows, columns, (columns + 31) / 32 * 32, read);

    /// <summary>Copies rows of floats (a fused or transposed weight in parts) into a matrix of its own, in the type it was stored in.</summary>
    /// <param name="type">F32, F16 or BF16.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="source">First byte of the stored tensor.</param>
    /// <param name="index">Index of element (row, column) in the stored tensor.</param>
    public static WeightMatrix Gather(GgmlType type, int rows, int columns, nint source, Func<int, int, long> index)
    {
        var padded = (columns + 31) / 32 * 32;
        var size = type.BlockBytes();
        var bytes = (nuint)rows * (nuint)(padded * size);
        var copy = (byte*)NativeMemory.AlignedAlloc(bytes, 64);
        NativeMemory.Clear(copy, bytes);
        for (var r = 0; r < rows; r++)
        {
            for (var c = 0; c < columns; c++)
                Buffer.MemoryCopy((byte*)source + index(r, c) * size, copy + ((nint)r * padded + c) * size, size, size);
        }
        return new WeightMatrix(type, rows, columns, padded, copy, copy, (long)bytes);
    }

    /// <summary>The weight laid out for products with 8-bit activations; null where its encoding has no such layout.</summary>
    public PackedMatrix? Pack(Pages pages, WorkerPool pool)
    {
        if (encoded is not null)
        {
            var weight = encoded();
            Encoding = weight.Summary;
            return EncodedPanels.Pack(weight, pages, pool);
        }
        if (GgufPanel.For(Type) is not { } format || PaddedColumns % Type.BlockElements() != 0) return null;
        var packed = PanelMatrix.Pack(new GgufSource(format, Rows, PaddedColumns, data, (nint)Type.RowBytes(PaddedColumns)), pages, pool);
        if (owned is null) Pages.Forget(data, Rows * Type.RowBytes(PaddedColumns));
        return packed;
    }

    /// <summary>Makes <see cref="Data"/> ready, which an encoded weight that is laid out in panels never needs.</summary>
    public void Decode()
    {
        if (encoded is null || data != null) return;
        var weight = encoded();
        Encoding = weight.Summary;
        var rowBytes = Type.RowBytes(PaddedColumns);
        owned = NativeMemory.AlignedAlloc((nuint)(Rows * rowBytes), 64);
        data = (byte*)owned;
        NativeMemory.Clear(owned, (nuint)(Rows * rowBytes));
        var type = Type switch { GgmlType.F16 => ElementType.F16, GgmlType.BF16 => ElementType.BF16, _ => ElementType.F32 };
        var used = (int)Type.RowBytes(Columns);
        Parallel.For(0, Rows, () => new float[Columns], (row, _, line) =>
        {
            weight.DecodeRow(row, line);
            ElementConversion.FromSingle(type, line, new Span<byte>(data + row * rowBytes, used));
            return line;
        }, _ => { });
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(owned);
        owned = null;
        data = null;
    }
}
