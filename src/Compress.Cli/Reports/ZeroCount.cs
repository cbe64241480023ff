using System.Numerics;
using System.Runtime.InteropServices;
using Compress.Formats.Checkpoints;

namespace Compress.Cli.Reports;

/// <summary>Counts the elements of a stored tensor that are zero, +0 and −0 alike.</summary>
internal static class ZeroCount
{
    private const int Piece = 1 << 24;

    /// <summary>Number of zeros.</summary>
    /// <param name="tensor">A tensor of F64, F32, F16 or BF16.</param>
    public static long Of(TensorView tensor)
    {
        long zeros = 0;
        for (long at = 0; at < tensor.Info.ByteCount; at += Piece)
        {
            var bytes = tensor.Bytes(at, (int)Math.Min(Piece, tensor.Info.ByteCount - at));
            zeros += tensor.Info.Type switch
            {
                ElementType.F64 => Count<ulong>(bytes, ~(1UL << 63)),
                ElementType.F32 => Count<uint>(bytes, ~(1U << 31)),
                _ => Count<ushort>(bytes, 0x7FFF),
            };
        }
        return zeros;
    }

    private static long Count<T>(ReadOnlySpan<byte> bytes, T withoutSign) where T : unmanaged, IBinaryInteger<T>
    {
        var values = MemoryMarshal.Cast<byte, T>(bytes);
        var vectors = MemoryMarshal.Cast<T, Vector<T>>(values);
        var mask = new Vector<T>(withoutSign);
        long zeros = 0;
        // Each lane counts down from zero; a 16-bit lane holds 65535 of them.
        for (var i = 0; i < vectors.Length;)
        {
            var counts = Vector<T>.Zero;
            for (var end = Math.Min(vectors.Length, i + 32768); i < end; i++) counts -= Vector.Equals(vectors[i] & mask, Vector<T>.Zero);
            for (var lane = 0; lane < Vector<T>.Count; lane++) zeros += long.CreateTruncating(counts[lane]);
        }
        foreach (var value in values[(vectors.Length * Vector<T>.Count)..]) zeros += T.IsZero(value & withoutSign) ? 1 : 0;
        return zeros;
    }
}
