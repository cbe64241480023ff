using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Compress.Runtime.Model;

namespace Compress.Runtime.Kernels.Panels;

/// <summary>An encoded weight <c>[rows, columns]</c> in panels, and its products with 8-bit activations.</summary>
internal sealed unsafe class PanelMatrix : PackedMatrix
{
    /// <summary>Bytes that vector products read ahead: what arrives while a prefetch is under way.</summary>
    public const int ReadAhead = 8192;

    private readonly byte* start;
    private readonly nint panelBytes;
    private readonly int blockBytes;

    private PanelMatrix(PanelSource source, Pages pages) : base(source.Rows, source.Columns)
    {
        (Format, InputOrder) = (source.Format, source.InputOrder);
        blockBytes = CodePlanes.BlockBytes(Format.Bits);
        panelBytes = (Format.PanelBytes(Blocks) + 63) / 64 * 64;
        start = pages.Take(Panels * panelBytes);
    }

    public PanelFormat Format { get; }

    public override long Bytes => (long)Panels * panelBytes;

    /// <summary>Lays a weight out.</summary>
    /// <param name="source">The weight.</param>
    /// <param name="pages">Gives the memory; outlives the matrix.</param>
    /// <param name="pool">Threads to share the work.</param>
    public static PanelMatrix Pack(PanelSource source, Pages pages, Threading.WorkerPool pool)
    {
        var matrix = new PanelMatrix(source, pages);
        pool.Run(new Packing(matrix, source), matrix.Panels);
        return matrix;
    }

    public override void Multiply(QuantizedInput x, int from, int to, float* y, nint stride, float[]? bias, float* scratch)
    {
        if (x.Tokens <= PanelKernels.PackedTokens) MultiplyFew(x, from, to, y, stride, bias, scratch);
        else MultiplyMany(x, from, to, y, stride, bias, scratch);
    }

    private byte* Panel(int panel) => start + panel * panelBytes;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void MultiplyFew(QuantizedInput x, int from, int to, float* y, nint stride, float[]? bias, float* scratch)
    {
        float* sums = scratch, scales = sums + 16 * QuantizedInput.Tile, offsets = scales + PanelFormat.ChunkBlocks * 2 * 16;
        var scaling = PanelKernels.Assembled ? Format.Scaling : PanelScaling.Decoded;
        var shape = new PanelShape(Format.Bits, Format.Groups, x.Tokens, Format.Levels != null, scaling);
        var call = new PanelCall { Scales = scales, Offsets = offsets, Y = sums, Table = Format.Levels, MinusMiddle = -Format.Middle };
        for (var p = from; p < to; p++)
        {
            var chunk = Panel(p);
            new Span<float>(sums, 16 * x.Tokens).Clear();
            for (var b = 0; b < Blocks; b += PanelFormat.ChunkBlocks)
            {
                var count = Math.Min(PanelFormat.ChunkBlocks, Blocks - b);
                var scaleBytes = Format.ScaleBytes(b, count);
                call.Codes = chunk + scaleBytes;
                // The kernel reads ahead of the codes; what lies ahead of the scales is left to do here.
                for (nint ahead = 0; ahead < scaleBytes; ahead += 64) Prefetch(chunk + ReadAhead + ahead);
                if (scaling == PanelScaling.Decoded) Format.DecodeScales(chunk, b, count, scales, offsets);
                else call.Scales = (float*)chunk;
                call.Blocks = count;
                x.Describe(ref call, 0, b, Format.Groups);
                PanelKernels.Run(shape, &call);
                chunk = call.Codes + (nint)count * blockBytes;
            }
            Store(p, 0, x.Tokens, sums, y, stride, bias);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prefetch(byte* at)
    {
        if (Sse.IsSupported) Sse.Prefetch0(at);
    }

    /// <summary>Each panel is unpacked once to 8-bit codes and serves all tokens from the second-level cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void MultiplyMany(QuantizedInput x, int from, int to, float* y, nint stride, float[]? bias, float* scratch)
    {
        float* sums = scratch, scales = sums + 16 * QuantizedInput.Tile, offsets = scales + Blocks * Format.Groups * 16;
        var unpacked = (byte*)(offsets + Blocks * Format.Groups * 16);
        var call = new PanelCall { Scales = scales, Offsets = offsets, Y = sums, Blocks = Blocks, Codes = unpacked };
        for (var p = from; p < to; p++)
        {
            var panel = Panel(p);
            var chunk = Panel(p);
            for (var b = 0; b < Blocks; b += PanelFormat.ChunkBlocks)
            {
                var count = Math.Min(PanelFormat.ChunkBlocks, Blocks - b);
                var codes = chunk + Format.ScaleBytes(b, count);
                Format.DecodeScales(chunk, b, count, scales + b * Format.Groups * 16, offsets + b * Format.Groups * 16);
                CodePlanes.Unpack(codes, Format.Bits, count, unpacked + (nint)b * CodePlanes.UnpackedBytes);
                chunk = codes + (nint)count * blockBytes;
            }
            if (Format.Levels != null) LookUp(unpacked, Blocks * CodePlanes.UnpackedBytes, Format.Levels);
            MultiplyUnpacked(ref call, Format.Groups, p, x, y, stride, bias);
        }
    }

    private static void LookUp(byte* codes, int count, byte* levels)
    {
        var table = Vector128.Load(levels);
        for (var i = 0; i < count; i += 16)
        {
            Vector128.ShuffleNative(table, Vector128.Load(codes + i)).Store(codes + i);
        }
    }

    private sealed class Packing(PanelMatrix matrix, PanelSource source) : Threading.IParallelWork
    {
        [ThreadStatic]
        private static byte[]? codes;

        public void Run(int part, int worker)
        {
            if (codes is null || codes.Length < CodePlanes.Rows * matrix.Columns) codes = new byte[CodePlanes.Rows * matrix.Columns];
            fixed (byte* scratch = codes) source.Fill(part, matrix.Panel(part), scratch);
        }
    }
}
