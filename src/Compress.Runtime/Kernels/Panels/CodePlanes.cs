using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Compress.Runtime.Kernels.Panels;

/// <summary>
/// How the codes of sixteen rows lie in memory: in the order in which the products read them, without a wasted bit.
/// </summary>
/// <remarks>
/// <para>A <em>panel</em> is 16 rows, a <em>block</em> 32 columns of a panel, a <em>step</em> 4 columns. A step of 8-bit codes is one vector of
/// 64 bytes whose bytes 4r … 4r+3 are row r's: one multiply-add with four broadcast activations serves sixteen rows, and no sum ever has
/// to be taken across a vector.</para>
/// <para>Narrower codes are cut into planes of 4, 2 and 1 bits (3 = 2 + 1, 5 = 4 + 1, 6 = 4 + 2). A plane of p bits is p vectors a block;
/// vector v holds step <c>slot·p + v</c> in bits <c>slot·p …</c> of each byte.</para>
/// </remarks>
internal static unsafe class CodePlanes
{
    /// <summary>Rows of a panel.</summary>
    public const int Rows = 16;

    /// <summary>Columns of a block.</summary>
    public const int BlockColumns = 32;

    /// <summary>Columns of a step.</summary>
    public const int StepColumns = 4;

    /// <summary>Steps of a block.</summary>
    public const int Steps = BlockColumns / StepColumns;

    /// <summary>Bytes of a block of 8-bit codes.</summary>
    public const int UnpackedBytes = Rows * BlockColumns;

    /// <summary>Bytes of a block of <paramref name="bits"/>-bit codes.</summary>
    public static int BlockBytes(int bits) => 64 * bits;

    /// <summary>Bits of the low and the high plane; the high one is 0 where there is but one.</summary>
    public static (int Low, int High) Planes(int bits) => bits switch
    {
        2 or 4 or 8 => (bits, 0),
        3 => (2, 1),
        5 => (4, 1),
        6 => (4, 2),
        _ => throw new ArgumentOutOfRangeException(nameof(bits), bits, "codes have 2, 3, 4, 5, 6 or 8 bits"),
    };

    /// <summary>Packs a block.</summary>
    /// <param name="codes">First code of the panel's first row; one byte a code.</param>
    /// <param name="stride">Bytes from one row's codes to the next.</param>
    /// <param name="bits">Bits of a code.</param>
    /// <param name="block">Receives <see cref="BlockBytes"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Pack(byte* codes, nint stride, int bits, byte* block)
    {
        var (low, high) = Planes(bits);
        uint lowMask = 0x01010101u * (uint)((1 << low) - 1), highMask = 0x01010101u * (uint)((1 << high) - 1);
        Unsafe.InitBlockUnaligned(block, 0, (uint)BlockBytes(bits));
        for (var step = 0; step < Steps; step++)
        {
            byte* lowVector = block + 64 * (step % low), highVector = high == 0 ? null : block + 64 * (low + step % high);
            int lowShift = step / low * low, highShift = high == 0 ? 0 : step / high * high;
            for (var r = 0; r < Rows; r++)
            {
                // Four codes at a time: none has a bit that a shift could carry into its neighbour.
                var four = Unsafe.ReadUnaligned<uint>(codes + r * stride + StepColumns * step);
                *(uint*)(lowVector + 4 * r) |= (four & lowMask) << lowShift;
                if (high > 0) *(uint*)(highVector + 4 * r) |= (four >> low & highMask) << highShift;
            }
        }
    }

    /// <summary>Unpacks blocks to 8-bit steps.</summary>
    /// <param name="blocks">Packed blocks, one after the other.</param>
    /// <param name="bits">Bits of a code.</param>
    /// <param name="count">How many blocks.</param>
    /// <param name="codes">Receives <see cref="UnpackedBytes"/> for each.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Unpack(byte* blocks, int bits, int count, byte* codes)
    {
        var (low, high) = Planes(bits);
        Vector512<byte> lowMask = Vector512.Create((byte)((1 << low) - 1)), highMask = Vector512.Create((byte)((1 << high) - 1 << low));
        for (var b = 0; b < count; b++, blocks += BlockBytes(bits))
        {
            for (var step = 0; step < Steps; step++, codes += 64)
            {
                // Shifts are of 16-bit lanes; what crosses from the other byte is masked away.
                var value = (Vector512.Load((ushort*)(blocks + 64 * (step % low))) >>> (step / low * low)).AsByte() & lowMask;
                if (high > 0)
                {
                    var upper = Vector512.Load((ushort*)(blocks + 64 * (low + step % high)));
                    var shift = step / high * high - low;
                    value |= (shift >= 0 ? upper >>> shift : upper << -shift).AsByte() & highMask;
                }
                value.Store(codes);
            }
        }
    }
}
