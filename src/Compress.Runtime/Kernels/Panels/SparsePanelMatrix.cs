using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Compress.Formats.Encodings;
using Compress.Runtime.Model;
using Compress.Runtime.Threading;

namespace Compress.Runtime.Kernels.Panels;

/// <summary>
/// A quantized weight most of whose entries may be zero: a bit for each weight and codes of 4 or 8 bits for those that are kept
/// (the bitmap of Endor, arXiv:2406.11674, section 3, in the order of panels).
/// </summary>
/// <remarks>
/// A chunk is its scales, 64 bytes of masks a block, then the kept codes. Codes narrower than their field are widened; N:M patterns are
/// kept as bitmaps too, which for 2:4 cost as many bits as indices would.
/// </remarks>
internal sealed unsafe class SparsePanelMatrix : PackedMatrix
{
    private const int NibblesOfGroup = 128;
    private const int BlocksAtOnce = 4;

    private readonly GroupPanel format;
    private readonly int valueBits;
    private readonly nint[] panels;
    private readonly int[] kept;
    private readonly long bytes;

    private SparsePanelMatrix(Source source, GroupPanel format, Pages pages, WorkerPool pool) : base(source.Weight.Rows, source.Columns)
    {
        this.format = format;
        valueBits = source.Weight.Bits <= 4 ? 4 : 8;
        InputOrder = source.InputOrder;
        kept = new int[Panels * Chunks];
        panels = new nint[Panels];
        var sizes = new long[Panels];
        pool.Run(new Counting(this, source, sizes), Panels);
        bytes = sizes.Sum() + 4L * kept.Length;
        var start = pages.Take(sizes.Sum() + PanelMatrix.ReadAhead);
        for (var p = 0; p < Panels; start += sizes[p], p++) panels[p] = (nint)start;
        pool.Run(new Packing(this, source), Panels);
    }

    public override long Bytes => bytes;

    public override string Use => "from bitmap and codes";

    private int Chunks => (Blocks + PanelFormat.ChunkBlocks - 1) / PanelFormat.ChunkBlocks;

    /// <summary>Lays a weight out; null where its groups do not fit blocks of 16 columns, those of different zero points blocks of 32,
    /// or where zero points have fractions.</summary>
    /// <param name="weight">Codes and scales; codes of entries that are not kept are not looked at.</param>
    /// <param name="isKept">A bit for each weight, rows of <c>⌈columns/8⌉</c> bytes, lowest bit first; bits beyond the columns are 0.</param>
    /// <param name="pages">Gives the memory; outlives the matrix.</param>
    /// <param name="pool">Threads to share the work.</param>
    public static SparsePanelMatrix? Pack(GroupQuantizedWeight weight, byte[] isKept, Pages pages, WorkerPool pool)
    {
        if (weight.ZeroFraction > 0 || GroupSource.For(weight) is not { } dense || (!weight.Symmetric && dense.Format.Groups > 1)) return null;
        return new SparsePanelMatrix(new Source(weight, isKept, dense), (GroupPanel)dense.Format, pages, pool);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Multiply(QuantizedInput x, int from, int to, float* y, nint stride, float[]? bias, float* scratch)
    {
        var groups = format.Groups;
        var whole = x.Tokens > PanelKernels.PackedTokens;
        var room = whole ? Blocks : PanelFormat.ChunkBlocks;
        float* sums = scratch, scales = sums + 16 * QuantizedInput.Tile, offsets = scales + room * groups * 16;
        byte* codes = (byte*)(offsets + room * groups * 16), values = codes + (nint)room * CodePlanes.UnpackedBytes;
        var background = stackalloc byte[64];
        var shape = new PanelShape(8, groups, x.Tokens);
        var call = new PanelCall { Codes = codes, Scales = scales, Offsets = offsets, Y = sums };
        for (var p = from; p < to; p++)
        {
            var at = (byte*)panels[p];
            new Span<float>(sums, 16 * (whole ? 1 : x.Tokens)).Clear();
            for (var c = 0; c < Chunks; c++)
            {
                var (first, count) = Chunk(c);
                var slot = whole ? first : 0;
                at = Expand(at, first, count, kept[p * Chunks + c], background, scales + slot * groups * 16, offsets + slot * groups * 16,
                    codes + (nint)slot * CodePlanes.UnpackedBytes, values);
                if (whole) continue;
                call.Blocks = count;
                x.Describe(ref call, 0, first, groups);
                PanelKernels.Run(shape, &call);
            }
            if (!whole)
            {
                Store(p, 0, x.Tokens, sums, y, stride, bias);
                continue;
            }
            call.Blocks = Blocks;
            MultiplyUnpacked(ref call, groups, p, x, y, stride, bias);
        }
    }

    private (int First, int Count) Chunk(int index) =>
        (index * PanelFormat.ChunkBlocks, Math.Min(PanelFormat.ChunkBlocks, Blocks - index * PanelFormat.ChunkBlocks));

    private int ValueBytes(int count) => valueBits == 8 ? (count + 63) / 64 * 64 : (count + NibblesOfGroup - 1) / NibblesOfGroup * 64;

    /// <summary>Expands a chunk; returns where the next begins.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private byte* Expand(byte* at, int first, int count, int keptCodes, byte* background, float* scales, float* offsets, byte* codes, byte* values)
    {
        var scaleBytes = format.ScaleBytes(first, count);
        for (nint ahead = 0; ahead < scaleBytes; ahead += 64) Prefetch(at + ahead);
        format.DecodeScales(at, first, count, scales, offsets);
        var masks = at + scaleBytes;
        var stored = masks + 64 * count;
        var size = ValueBytes(keptCodes);
        var call = new ExpandCall { Masks = (ulong*)masks, Kept = valueBits == 4 ? values : stored, Background = background, Codes = codes };
        nint unpacked = 0;
        for (var block = 0; block < count; block += (int)call.Blocks)
        {
            call.Blocks = Math.Min(Math.Min(BlocksAtOnce, count - block), format.BlocksOfGroup(first + block));
            format.Zeros(at, first, first + block).Store(background);
            if (valueBits == 4)
            {
                // As many as these blocks can take at most: what is read ahead arrives while they are expanded.
                var needed = (nint)(call.Kept - values) + call.Blocks * CodePlanes.UnpackedBytes;
                for (; unpacked < 2 * size && unpacked < needed; unpacked += NibblesOfGroup) Nibbles(stored + unpacked / 2, values + unpacked);
            }
            ExpandKernel.Run(&call);
        }
        return stored + size;
    }

    /// <summary>Two codes a byte to one: in 64 bytes the low nibbles come first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Nibbles(byte* from, byte* to)
    {
        Prefetch(from);
        var (both, low) = (Vector512.Load(from), Vector512.Create((byte)15));
        (both & low).Store(to);
        ((both.AsUInt16() >>> 4).AsByte() & low).Store(to + 64);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prefetch(byte* from)
    {
        if (Sse.IsSupported) Sse.Prefetch0(from + PanelMatrix.ReadAhead);
    }

    /// <summary>The weight before it is laid out.</summary>
    private sealed class Source(GroupQuantizedWeight weight, byte[] isKept, GroupSource dense)
    {
        private readonly int rowBytes = (weight.Columns + 7) / 8;

        public GroupQuantizedWeight Weight => weight;

        public GroupSource Dense => dense;

        public int Columns => dense.Columns;

        public int[]? InputOrder => dense.InputOrder;

        /// <summary>Which of a row's four columns from a multiple of four on are kept, the lowest bit first.</summary>
        public uint Kept(int row, int column)
        {
            if (row >= weight.Rows) return 0;
            // Bits beyond the columns are 0, bytes are not there.
            if (InputOrder is not { } order) return column < weight.Columns ? (uint)isKept[row * rowBytes + column / 8] >> (column % 8) & 15 : 0;
            var four = 0u;
            for (var i = 0; i < CodePlanes.StepColumns; i++)
            {
                if (order[column + i] is >= 0 and var input) four |= (uint)(isKept[row * rowBytes + input / 8] >> (input % 8) & 1) << i;
            }
            return four;
        }

        public byte Code(int row, int column) => weight.Codes[row * weight.Columns + (InputOrder is { } order ? order[column] : column)];

        /// <summary>Kept weights of a panel's chunk.</summary>
        public int Count(int panel, int firstBlock, int blocks)
        {
            var count = 0;
            for (var r = 0; r < CodePlanes.Rows; r++)
            {
                for (var c = firstBlock * CodePlanes.BlockColumns; c < (firstBlock + blocks) * CodePlanes.BlockColumns; c += CodePlanes.StepColumns)
                    count += BitOperations.PopCount(Kept(panel * CodePlanes.Rows + r, c));
            }
            return count;
        }
    }

    /// <summary>Counts what is kept in each chunk, and the bytes of each panel.</summary>
    private sealed class Counting(SparsePanelMatrix matrix, Source source, long[] sizes) : IParallelWork
    {
        public void Run(int part, int worker)
        {
            for (var c = 0; c < matrix.Chunks; c++)
            {
                var (first, count) = matrix.Chunk(c);
                var stored = source.Count(part, first, count);
                matrix.kept[part * matrix.Chunks + c] = stored;
                sizes[part] += matrix.format.ScaleBytes(first, count) + 64L * count + matrix.ValueBytes(stored);
            }
        }
    }

    private sealed class Packing(SparsePanelMatrix matrix, Source source) : IParallelWork
    {
        public void Run(int part, int worker)
        {
            var at = (byte*)matrix.panels[part];
            for (var c = 0; c < matrix.Chunks; c++)
            {
                var (first, count) = matrix.Chunk(c);
                var scaleBytes = matrix.format.ScaleBytes(first, count);
                source.Dense.FillScales(part, first, count, at);
                var masks = (ulong*)(at + scaleBytes);
                at += scaleBytes + 64 * count;
                Place(part, first, count, masks, at);
                at += matrix.ValueBytes(matrix.kept[part * matrix.Chunks + c]);
            }
        }

        private void Place(int panel, int first, int count, ulong* masks, byte* values)
        {
            var next = 0;
            for (var step = 0; step < count * CodePlanes.Steps; step++)
            {
                var (mask, column) = (0UL, first * CodePlanes.BlockColumns + step * CodePlanes.StepColumns);
                for (var r = 0; r < CodePlanes.Rows; r++) mask |= (ulong)source.Kept(panel * CodePlanes.Rows + r, column) << (CodePlanes.StepColumns * r);
                masks[step] = mask;
                for (; mask != 0; mask &= mask - 1)
                {
                    var i = BitOperations.TrailingZeroCount(mask);
                    Put(values, next++, source.Code(panel * CodePlanes.Rows + i / CodePlanes.StepColumns, column + i % CodePlanes.StepColumns));
                }
            }
        }

        private void Put(byte* values, int index, byte code)
        {
            if (matrix.valueBits == 8)
            {
                values[index] = code;
                return;
            }
            var place = values + index / NibblesOfGroup * 64 + index % 64;
            *place = index / 64 % 2 == 0 ? code : (byte)(*place | code << 4);
        }
    }
}
