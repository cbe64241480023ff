using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Compress.Formats.Encodings.Values;
using Compress.Runtime.Model;
using Compress.Runtime.Threading;

namespace Compress.Runtime.Kernels.Panels;

/// <summary>
/// A weight whose codes of 2 to 4 bits index a table of each row (SqueezeLLM, arXiv:2306.07629). Tables are rounded to 8 bits between the
/// least and the largest value of their row, as activations are; codes are looked up a chunk at a time and then multiplied as 8-bit ones.
/// </summary>
/// <remarks>
/// A panel is sixteen scales and offsets, the sixteen rows' tables one after the other (64, 128 or 256 bytes, so that one or two byte
/// permutations over 128 entries look up all rows of a step), and the codes (<see cref="CodePlanes"/>).
/// </remarks>
internal sealed unsafe class TablePanelMatrix : PackedMatrix
{
    private const int ScaleBytes = 2 * CodePlanes.Rows * sizeof(float);
    private const int Levels = byte.MaxValue;

    private readonly int bits;
    private readonly int tableBytes;
    private readonly nint panelBytes;
    private readonly byte* start;

    private TablePanelMatrix(int rows, int columns, int bits, Pages pages) : base(rows, columns)
    {
        this.bits = bits;
        tableBytes = CodePlanes.Rows << bits;
        panelBytes = ScaleBytes + tableBytes + (nint)Blocks * CodePlanes.BlockBytes(bits);
        start = pages.Take(Panels * panelBytes + PanelMatrix.ReadAhead);
    }

    public override long Bytes => (long)Panels * panelBytes;

    public override string Use => "from codes, tables rounded to 8 bits";

    /// <summary>Lays a weight out; null where its codes have other widths than 2, 3 and 4 bits.</summary>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="values">A code for each element, row-major, and the tables.</param>
    /// <param name="pages">Gives the memory; outlives the matrix.</param>
    /// <param name="pool">Threads to share the work.</param>
    public static TablePanelMatrix? Pack(int rows, int columns, TableValues values, Pages pages, WorkerPool pool)
    {
        if (values.Bits is < 2 or > 4) return null;
        var padded = (columns + CodePlanes.BlockColumns - 1) / CodePlanes.BlockColumns * CodePlanes.BlockColumns;
        var matrix = new TablePanelMatrix(rows, padded, values.Bits, pages);
        pool.Run(new Packing(matrix, values, columns), matrix.Panels);
        return matrix;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Multiply(QuantizedInput x, int from, int to, float* y, nint stride, float[]? bias, float* scratch)
    {
        var whole = x.Tokens > PanelKernels.PackedTokens;
        var room = whole ? Blocks : PanelFormat.ChunkBlocks;
        float* sums = scratch, scales = sums + 16 * QuantizedInput.Tile, offsets = scales + room * 16;
        var codes = (byte*)(offsets + room * 16);
        var call = new PanelCall { Codes = codes, Scales = scales, Offsets = offsets, Y = sums };
        var shape = new PanelShape(8, 1, x.Tokens);
        for (var p = from; p < to; p++)
        {
            var panel = start + p * panelBytes;
            Vector512<float> scale = Vector512.Load((float*)panel), offset = Vector512.Load((float*)panel + 16);
            for (var b = 0; b < Math.Min(room, Blocks); b++)
            {
                scale.Store(scales + 16 * b);
                offset.Store(offsets + 16 * b);
            }
            byte* tables = panel + ScaleBytes, packed = tables + tableBytes;
            if (whole)
            {
                LookUp(packed, Blocks, tables, codes);
                call.Blocks = Blocks;
                MultiplyUnpacked(ref call, 1, p, x, y, stride, bias);
                continue;
            }
            new Span<float>(sums, 16 * x.Tokens).Clear();
            for (var first = 0; first < Blocks; first += PanelFormat.ChunkBlocks)
            {
                call.Blocks = Math.Min(PanelFormat.ChunkBlocks, Blocks - first);
                LookUp(packed + (nint)first * CodePlanes.BlockBytes(bits), (int)call.Blocks, tables, codes);
                x.Describe(ref call, 0, first, 1);
                PanelKernels.Run(shape, &call);
            }
            Store(p, 0, x.Tokens, sums, y, stride, bias);
        }
    }

    /// <summary>Unpacks blocks of codes and replaces each by its row's table entry.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void LookUp(byte* packed, int blocks, byte* tables, byte* codes)
    {
        if (Sse.IsSupported)
        {
            for (nint ahead = 0; ahead < blocks * CodePlanes.BlockBytes(bits); ahead += 64) Sse.Prefetch0(packed + PanelMatrix.ReadAhead + ahead);
        }
        CodePlanes.Unpack(packed, bits, blocks, codes);
        if (!Avx512Vbmi.IsSupported)
        {
            for (var i = 0; i < blocks * CodePlanes.UnpackedBytes; i++) codes[i] = tables[(i % 64 / CodePlanes.StepColumns << bits) + codes[i]];
            return;
        }
        // Byte i of a step belongs to row i / 4, whose table begins there; permutations of 128 entries look at seven bits of an index.
        var rows = (Vector512<byte>.Indices.AsUInt16() >>> 2 & Vector512.Create((byte)0x3F).AsUInt16()).AsByte();
        var begins = ((rows.AsUInt16() << bits) & Vector512.Create((byte)(0xFF << bits)).AsUInt16()).AsByte();
        Vector512<byte> a = Vector512.Load(tables), b = bits > 2 ? Vector512.Load(tables + 64) : a;
        Vector512<byte> c = bits > 3 ? Vector512.Load(tables + 128) : a, d = bits > 3 ? Vector512.Load(tables + 192) : b;
        var upper = Vector512.GreaterThan(begins, Vector512.Create((byte)127));
        for (var at = codes; at < codes + (nint)blocks * CodePlanes.UnpackedBytes; at += 64)
        {
            var index = Vector512.Load(at) | begins;
            var value = Avx512Vbmi.PermuteVar64x8x2(a, index, b);
            if (bits > 3) value = Vector512.ConditionalSelect(upper, Avx512Vbmi.PermuteVar64x8x2(c, index, d), value);
            value.Store(at);
        }
    }

    private sealed class Packing(TablePanelMatrix matrix, TableValues values, int columns) : IParallelWork
    {
        public void Run(int part, int worker)
        {
            var panel = matrix.start + part * matrix.panelBytes;
            new Span<byte>(panel, checked((int)matrix.panelBytes)).Clear();
            var codes = new byte[CodePlanes.Rows * matrix.Columns];
            for (int r = 0, row = part * CodePlanes.Rows; r < CodePlanes.Rows && row < matrix.Rows; r++, row++)
            {
                values.Codes.AsSpan(row * columns, columns).CopyTo(codes.AsSpan(r * matrix.Columns));
                PlaceTable(values.Tables.AsSpan(row << values.Bits, 1 << values.Bits), r, panel);
            }
            var to = panel + ScaleBytes + matrix.tableBytes;
            fixed (byte* first = codes)
            {
                for (var b = 0; b < matrix.Blocks; b++, to += CodePlanes.BlockBytes(matrix.bits))
                    CodePlanes.Pack(first + b * CodePlanes.BlockColumns, matrix.Columns, matrix.bits, to);
            }
        }

        private static void PlaceTable(ReadOnlySpan<float> table, int row, byte* panel)
        {
            float least = float.PositiveInfinity, largest = float.NegativeInfinity;
            foreach (var value in table) (least, largest) = (Math.Min(least, value), Math.Max(largest, value));
            var step = (float)(((double)largest - least) / Levels);
            ((float*)panel)[row] = step;
            ((float*)panel)[CodePlanes.Rows + row] = least;
            var to = panel + ScaleBytes + row * table.Length;
            for (var k = 0; k < table.Length; k++) to[k] = step == 0 ? (byte)0 : (byte)Math.Clamp(Math.Round(((double)table[k] - least) / step), 0, Levels);
        }
    }
}
