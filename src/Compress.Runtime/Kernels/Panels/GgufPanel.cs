using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Compress.Formats.Gguf;

namespace Compress.Runtime.Kernels.Panels;

/// <summary>Rows of a GGUF tensor.</summary>
/// <param name="format">The format of the stored type.</param>
/// <param name="rows">Rows.</param>
/// <param name="columns">Columns, whole blocks of the type.</param>
/// <param name="stored">First row as stored.</param>
/// <param name="rowBytes">Bytes of a stored row.</param>
internal sealed unsafe class GgufSource(GgufPanel format, int rows, int columns, byte* stored, nint rowBytes) : PanelSource(format, rows, columns)
{
    private readonly byte* start = stored;

    public override void Fill(int panel, byte* to, byte* codes)
    {
        var first = panel * CodePlanes.Rows;
        format.Pack(start + first * rowBytes, rowBytes, Math.Min(CodePlanes.Rows, Rows - first), Columns, to, codes);
    }
}

/// <summary>A GGUF block type as panels.</summary>
/// <param name="type">The stored type.</param>
/// <param name="bits">Bits of a code.</param>
/// <param name="groups">Groups of a block of 32 columns that have a scale of their own.</param>
internal abstract unsafe class GgufPanel(GgmlType type, int bits, int groups) : PanelFormat(bits, groups)
{
    /// <summary>The stored type.</summary>
    public GgmlType Type { get; } = type;

    /// <summary>Columns of a stored block.</summary>
    protected int StoredColumns { get; } = type.BlockElements();

    /// <summary>Bytes of a stored block.</summary>
    protected int StoredBytes { get; } = type.BlockBytes();

    /// <summary>The panel format of a stored type; null where it is not quantized.</summary>
    public static GgufPanel? For(GgmlType type) => type switch
    {
        GgmlType.Q4_0 => new HalfPanel(type, 4, middle: 8),
        GgmlType.Q4_1 => new HalfPanel(type, 4, middle: null),
        GgmlType.Q5_0 => new HalfPanel(type, 5, middle: 16),
        GgmlType.Q5_1 => new HalfPanel(type, 5, middle: null),
        GgmlType.Q8_0 => new HalfPanel(type, 8, middle: 128),
        GgmlType.IQ4_NL => new HalfPanel(type, 4, middle: 128),
        GgmlType.Q2_K => new Q2KPanel(),
        GgmlType.Q3_K => new Q3KPanel(),
        GgmlType.Q4_K or GgmlType.Q5_K => new SixBitPanel(type),
        GgmlType.Q6_K => new Q6KPanel(),
        GgmlType.IQ4_XS => new Iq4XsPanel(),
        _ => null,
    };

    /// <summary>Packs sixteen rows.</summary>
    /// <param name="rows">First row as stored.</param>
    /// <param name="rowBytes">Bytes of a stored row.</param>
    /// <param name="count">Rows there are, 1 to 16; the rest becomes zero.</param>
    /// <param name="columns">Columns, whole stored blocks.</param>
    /// <param name="panel">Receives the panel.</param>
    /// <param name="codes">Scratch of <c>16 · columns</c> bytes.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Pack(byte* rows, nint rowBytes, int count, int columns, byte* panel, byte* codes)
    {
        new Span<byte>(codes, CodePlanes.Rows * columns).Clear();
        var blocks = columns / CodePlanes.BlockColumns;
        var storedBlocks = StoredColumns / CodePlanes.BlockColumns;
        for (var first = 0; first < blocks; first += ChunkBlocks)
        {
            var inChunk = Math.Min(ChunkBlocks, blocks - first);
            new Span<byte>(panel, ScaleBytes(first, inChunk)).Clear();
            for (var r = 0; r < count; r++)
            {
                var row = rows + r * rowBytes + first / storedBlocks * StoredBytes;
                for (var b = 0; b < inChunk / storedBlocks; b++, row += StoredBytes)
                {
                    Codes(row, codes + (nint)r * columns + first * CodePlanes.BlockColumns + b * StoredColumns);
                    PackScales(row, panel, b, r);
                }
            }
            panel += ScaleBytes(first, inChunk);
            for (var b = 0; b < inChunk; b++, panel += CodePlanes.BlockBytes(Bits))
                CodePlanes.Pack(codes + (first + b) * CodePlanes.BlockColumns, columns, Bits, panel);
        }
    }

    /// <summary>Codes of a stored block as unsigned bytes.</summary>
    protected abstract void Codes(byte* block, byte* codes);

    /// <summary>Puts a stored block's scales where <see cref="PanelFormat.DecodeScales"/> finds them.</summary>
    /// <param name="block">The stored block.</param>
    /// <param name="area">The chunk's scales.</param>
    /// <param name="index">Which stored block of the row's part in the chunk.</param>
    /// <param name="row">Which row of the panel.</param>
    protected abstract void PackScales(byte* block, byte* area, int index, int row);

    /// <summary>Low nibbles to <c>codes[0 … count)</c>, high ones behind them; <paramref name="count"/> is a multiple of 16.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected static void Nibbles(byte* from, int count, byte* codes)
    {
        for (var i = 0; i < count; i += 16)
        {
            var both = Vector128.Load(from + i);
            (both & Vector128.Create((byte)15)).Store(codes + i);
            (both >>> 4).Store(codes + i + count);
        }
    }

    /// <summary>Adds pair q of each of 32 bytes, shifted to bit <paramref name="at"/>, to codes <c>32·q …</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected static void AddPairs(byte* from, byte* codes, int at)
    {
        var four = Vector256.Load(from);
        for (var q = 0; q < 4; q++) (Vector256.Load(codes + 32 * q) | (four >>> (2 * q) & Vector256.Create((byte)3)) << at).Store(codes + 32 * q);
    }

    /// <summary>Adds bit g of each of 32 bytes, shifted to bit <paramref name="at"/>, to codes <c>32·g …</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected static void AddBits(byte* from, byte* codes, int at)
    {
        var eight = Vector256.Load(from);
        for (var g = 0; g < 8; g++) (Vector256.Load(codes + 32 * g) | (eight >>> g & Vector256<byte>.One) << at).Store(codes + 32 * g);
    }
}
