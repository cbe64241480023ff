using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;

namespace Compress.Runtime.Kernels.Panels;

/// <summary>Integer codes with a scale, and where they are not symmetric a zero point, for each row and group of columns (GPTQ, AWQ, RTN …).</summary>
/// <param name="bits">Bits of a code.</param>
/// <param name="groupSize">Columns of a group, a multiple of 16.</param>
/// <param name="scaleType">How scales are stored: F16, BF16 or F32.</param>
/// <param name="symmetric">True where the middle code stands for 0 everywhere.</param>
/// <param name="zeroUnit">What one unit of a zero point is worth.</param>
internal sealed unsafe class GroupPanel(int bits, int groupSize, ElementType scaleType, bool symmetric, float zeroUnit = 1)
    : PanelFormat(bits, groupSize % CodePlanes.BlockColumns == 0 ? 1 : 2)
{
    private readonly int scaleBytes = scaleType == ElementType.F32 ? 64 : 32;
    private readonly int groupBytes = (scaleType == ElementType.F32 ? 64 : 32) + (symmetric ? 0 : CodePlanes.Rows);

    /// <summary>Columns that share a scale in the kernel: 32 or 16.</summary>
    private int Columns => CodePlanes.BlockColumns / Groups;

    public override int ScaleBytes(int first, int count) => (GroupsIn(first, count) * groupBytes + 63) / 64 * 64;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void DecodeScales(byte* area, int first, int count, float* scales, float* offsets)
    {
        var middle = Vector512.Create((float)-(1 << (Bits - 1)));
        int column = first * CodePlanes.BlockColumns, firstGroup = column / groupSize, at = -1;
        Vector512<float> scale = default, offset = default;
        for (var i = 0; i < count * Groups; i++, column += Columns)
        {
            var group = column / groupSize - firstGroup;
            if (group != at)
            {
                at = group;
                var from = area + group * groupBytes;
                scale = Scale(from);
                offset = scale * (symmetric ? middle : Widen.Unsigned(Vector128.Load(from + scaleBytes)) * -zeroUnit);
            }
            scale.Store(scales + 16 * i);
            offset.Store(offsets + 16 * i);
        }
    }

    /// <summary>The code that stands for 0 in each row, four times, as a step of 8-bit codes has them.</summary>
    /// <param name="area">The chunk's scales.</param>
    /// <param name="first">First block of the chunk in its row.</param>
    /// <param name="block">The block in question; all its columns share a zero point.</param>
    public Vector512<byte> Zeros(byte* area, int first, int block)
    {
        if (symmetric) return Vector512.Create((byte)(1 << (Bits - 1)));
        var group = block * CodePlanes.BlockColumns / groupSize - first * CodePlanes.BlockColumns / groupSize;
        var (low, high) = Vector128.Widen(Vector128.Load(area + group * groupBytes + scaleBytes));
        var (first4, second4) = Vector128.Widen(low);
        var (third4, fourth4) = Vector128.Widen(high);
        return (Vector512.Create(Vector256.Create(first4, second4), Vector256.Create(third4, fourth4)) * 0x01010101u).AsByte();
    }

    /// <summary>Blocks from one on that have the same zero points.</summary>
    public int BlocksOfGroup(int block) => symmetric
        ? int.MaxValue
        : (groupSize - block * CodePlanes.BlockColumns % groupSize) / CodePlanes.BlockColumns;

    /// <summary>Places one row's scale and zero point of a group.</summary>
    /// <param name="area">The chunk's scales.</param>
    /// <param name="group">Which group of the chunk.</param>
    /// <param name="row">Which row of the panel.</param>
    /// <param name="scale">The scale.</param>
    /// <param name="zero">The zero point.</param>
    public void Place(byte* area, int group, int row, float scale, int zero)
    {
        var to = area + group * groupBytes;
        if (scaleType == ElementType.F32) ((float*)to)[row] = scale;
        else if (scaleType == ElementType.F16) ((Half*)to)[row] = (Half)scale;
        else ((ushort*)to)[row] = (ushort)(BitConverter.SingleToUInt32Bits(scale) >> 16);
        if (!symmetric) to[scaleBytes + row] = (byte)zero;
    }

    /// <summary>Groups that a chunk touches; a group that spans chunks is stored in each.</summary>
    public int GroupsIn(int first, int count) =>
        ((first + count) * CodePlanes.BlockColumns - 1) / groupSize - first * CodePlanes.BlockColumns / groupSize + 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector512<float> Scale(byte* from)
    {
        if (scaleType == ElementType.F32) return Vector512.Load((float*)from);
        var halves = Vector256.Load((ushort*)from);
        return scaleType == ElementType.F16 ? Widen.Half(halves) : Widen.BFloat16(halves);
    }
}

/// <summary>A <see cref="GroupQuantizedWeight"/> as panels. Columns in activation order are sorted by group, and the input with them.</summary>
internal sealed unsafe class GroupSource : PanelSource
{
    private readonly GroupQuantizedWeight weight;
    private readonly GroupPanel format;

    private GroupSource(GroupQuantizedWeight weight, GroupPanel format, int columns) : base(format, weight.Rows, columns)
    {
        this.weight = weight;
        this.format = format;
        if (weight.GroupIndex is { } index)
        {
            InputOrder = [.. Enumerable.Range(0, columns).Select(c => c < weight.Columns ? c : -1)];
            Array.Sort([.. index.Select((group, column) => ((long)group << 32) | (uint)column)], InputOrder, 0, weight.Columns);
        }
    }

    public override int[]? InputOrder { get; }

    /// <summary>The weight as panels; null where its groups do not fit blocks of 16 columns or its codes no planes.</summary>
    public static GroupSource? For(GroupQuantizedWeight weight)
    {
        if (weight.Bits is not (2 or 3 or 4 or 5 or 6 or 8)) return null;
        var columns = (weight.Columns + CodePlanes.BlockColumns - 1) / CodePlanes.BlockColumns * CodePlanes.BlockColumns;
        var whole = weight.GroupSize >= weight.Columns;
        if (!whole && weight.GroupSize % 16 != 0) return null;
        // One format allows a zero point of 2^bits, which of 8 bits does not fit a byte.
        if (!weight.Symmetric && weight.Zeros.Any(z => z > byte.MaxValue)) return null;
        if (weight.GroupIndex is { } index && !GroupsAreWhole(index, weight)) return null;
        return new GroupSource(weight, new GroupPanel(
            weight.Bits, whole ? columns : weight.GroupSize, weight.ScaleType, weight.Symmetric, 1f / (1 << weight.ZeroFraction)), columns);
    }

    public override void Fill(int panel, byte* to, byte* codes)
    {
        int first = panel * CodePlanes.Rows, count = Math.Min(CodePlanes.Rows, Rows - first), blocks = Columns / CodePlanes.BlockColumns;
        new Span<byte>(codes, CodePlanes.Rows * Columns).Clear();
        for (var r = 0; r < count; r++) CopyRow(first + r, new Span<byte>(codes + (nint)r * Columns, Columns));
        for (var b = 0; b < blocks; b += PanelFormat.ChunkBlocks)
        {
            var inChunk = Math.Min(PanelFormat.ChunkBlocks, blocks - b);
            FillScales(panel, b, inChunk, to);
            to += format.ScaleBytes(b, inChunk);
            for (var i = b; i < b + inChunk; i++, to += CodePlanes.BlockBytes(format.Bits))
                CodePlanes.Pack(codes + i * CodePlanes.BlockColumns, Columns, format.Bits, to);
        }
    }

    /// <summary>Writes the scales of a panel's chunk.</summary>
    public void FillScales(int panel, int block, int blocks, byte* area)
    {
        int first = panel * CodePlanes.Rows, count = Math.Min(CodePlanes.Rows, Rows - first);
        new Span<byte>(area, format.ScaleBytes(block, blocks)).Clear();
        for (var r = 0; r < count; r++) PlaceScales(area, first + r, r, block, blocks);
    }

    private static bool GroupsAreWhole(int[] index, GroupQuantizedWeight weight)
    {
        var sizes = new int[weight.Groups];
        foreach (var group in index) sizes[group]++;
        return sizes.Take(sizes.Length - 1).All(s => s == weight.GroupSize);
    }

    private void CopyRow(int row, Span<byte> to)
    {
        var from = weight.Codes.AsSpan(checked(row * weight.Columns), weight.Columns);
        if (InputOrder is null) from.CopyTo(to);
        else
        {
            for (var c = 0; c < from.Length; c++) to[c] = from[InputOrder[c]];
        }
    }

    private void PlaceScales(byte* area, int row, int panelRow, int block, int blocks)
    {
        var firstGroup = block * CodePlanes.BlockColumns / Math.Min(weight.GroupSize, Columns);
        for (var g = 0; g < format.GroupsIn(block, blocks); g++)
        {
            // Padding behind a short last group may touch one group more than there is.
            var index = row * weight.Groups + Math.Min(weight.Groups - 1, weight.Groups == 1 ? 0 : firstGroup + g);
            format.Place(area, g, panelRow, weight.Scales[index], weight.Zeros[index]);
        }
    }
}
