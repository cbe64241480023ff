using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Compress.Formats.Gguf;

/// <summary>
/// The exact decode of every storage type to f32: the truth that kernels and exporters are tested against.
/// Block layouts: ggml, <c>ggml-common.h</c>; each product and sum is rounded to f32 in the order written there.
/// </summary>
public static class GgmlDecoder
{
    /// <summary>The sixteen levels of IQ4_NL and IQ4_XS.</summary>
    public static ReadOnlySpan<sbyte> NonLinearLevels => [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

    /// <summary>Decodes whole blocks.</summary>
    /// <param name="type">Storage type.</param>
    /// <param name="source">Blocks, one after the other.</param>
    /// <param name="destination">As many weights as the blocks hold.</param>
    /// <exception cref="ArgumentException">Lengths do not match, or the type is not known.</exception>
    public static void Decode(GgmlType type, ReadOnlySpan<byte> source, Span<float> destination)
    {
        if (!GgmlTypes.IsKnown(type)) throw new ArgumentException($"unknown tensor type {type}", nameof(type));
        if (type.RowBytes(destination.Length) != source.Length)
            throw new ArgumentException($"{source.Length} bytes are not {destination.Length} weights of {type}", nameof(source));
        switch (type)
        {
            case GgmlType.F32:
                MemoryMarshal.Cast<byte, float>(source).CopyTo(destination);
                return;
            case GgmlType.F16:
                for (var i = 0; i < destination.Length; i++) destination[i] = Half(source, 2 * i);
                return;
            case GgmlType.BF16:
                for (var i = 0; i < destination.Length; i++) destination[i] = BitConverter.Int32BitsToSingle(U16(source, 2 * i) << 16);
                return;
            default:
                DecodeBlocks(BlockDecoder(type), type, source, destination);
                return;
        }
    }

    private delegate void Block(ReadOnlySpan<byte> block, Span<float> weights);

    private static Block BlockDecoder(GgmlType type) => type switch
    {
        GgmlType.Q4_0 => Q4_0,
        GgmlType.Q4_1 => Q4_1,
        GgmlType.Q5_0 => Q5_0,
        GgmlType.Q5_1 => Q5_1,
        GgmlType.Q8_0 => Q8_0,
        GgmlType.Q2_K => Q2K,
        GgmlType.Q3_K => Q3K,
        GgmlType.Q4_K => Q4K,
        GgmlType.Q5_K => Q5K,
        GgmlType.Q6_K => Q6K,
        GgmlType.IQ4_NL => Iq4Nl,
        GgmlType.IQ4_XS => Iq4Xs,
        _ => throw new ArgumentException($"{type} has no blocks", nameof(type)),
    };

    private static void DecodeBlocks(Block decode, GgmlType type, ReadOnlySpan<byte> source, Span<float> destination)
    {
        int elements = type.BlockElements(), bytes = type.BlockBytes();
        for (var (from, to) = (0, 0); to < destination.Length; from += bytes, to += elements)
            decode(source.Slice(from, bytes), destination.Slice(to, elements));
    }

    private static void Q4_0(ReadOnlySpan<byte> block, Span<float> w)
    {
        var d = Half(block, 0);
        for (var j = 0; j < 16; j++)
        {
            w[j] = ((block[2 + j] & 15) - 8) * d;
            w[j + 16] = ((block[2 + j] >> 4) - 8) * d;
        }
    }

    private static void Q4_1(ReadOnlySpan<byte> block, Span<float> w)
    {
        float d = Half(block, 0), m = Half(block, 2);
        for (var j = 0; j < 16; j++)
        {
            w[j] = (block[4 + j] & 15) * d + m;
            w[j + 16] = (block[4 + j] >> 4) * d + m;
        }
    }

    private static void Q5_0(ReadOnlySpan<byte> block, Span<float> w)
    {
        var d = Half(block, 0);
        var high = BinaryPrimitives.ReadUInt32LittleEndian(block[2..]);
        for (var j = 0; j < 16; j++)
        {
            w[j] = (FiveBits(block[6 + j] & 15, high, j) - 16) * d;
            w[j + 16] = (FiveBits(block[6 + j] >> 4, high, j + 16) - 16) * d;
        }
    }

    private static void Q5_1(ReadOnlySpan<byte> block, Span<float> w)
    {
        float d = Half(block, 0), m = Half(block, 2);
        var high = BinaryPrimitives.ReadUInt32LittleEndian(block[4..]);
        for (var j = 0; j < 16; j++)
        {
            w[j] = FiveBits(block[8 + j] & 15, high, j) * d + m;
            w[j + 16] = FiveBits(block[8 + j] >> 4, high, j + 16) * d + m;
        }
    }

    private static void Q8_0(ReadOnlySpan<byte> block, Span<float> w)
    {
        var d = Half(block, 0);
        for (var j = 0; j < 32; j++) w[j] = (sbyte)block[2 + j] * d;
    }

    private static void Q2K(ReadOnlySpan<byte> block, Span<float> w)
    {
        float d = Half(block, 80), minimum = Half(block, 82);
        for (var i = 0; i < 256; i++)
        {
            // 128 weights share 32 code bytes, two bits each; a group is 16 weights.
            int half = i / 128, shift = i % 128 / 32 * 2, code = (block[16 + 32 * half + i % 32] >> shift) & 3;
            int scale = block[i / 16];
            w[i] = d * (scale & 15) * code - minimum * (scale >> 4);
        }
    }

    private static void Q3K(ReadOnlySpan<byte> block, Span<float> w)
    {
        var d = Half(block, 108);
        Span<sbyte> scales = stackalloc sbyte[16];
        for (var k = 0; k < 16; k++)
        {
            int low = k < 8 ? block[96 + k] & 15 : block[96 + k - 8] >> 4;
            int high = (block[104 + k % 4] >> (k / 4 * 2)) & 3;
            scales[k] = (sbyte)((low | high << 4) - 32);
        }
        for (var i = 0; i < 256; i++)
        {
            int half = i / 128, plane = i / 32, shift = i % 128 / 32 * 2;
            int code = ((block[32 + 32 * half + i % 32] >> shift) & 3) - ((block[i % 32] >> plane & 1) == 1 ? 0 : 4);
            w[i] = d * scales[i / 16] * code;
        }
    }

    private static void Q4K(ReadOnlySpan<byte> block, Span<float> w)
    {
        float d = Half(block, 0), minimum = Half(block, 2);
        for (var k = 0; k < 8; k++)
        {
            var (scale, min) = SixBitScale(block.Slice(4, 12), k);
            float step = d * scale, shift = minimum * min;
            var codes = block.Slice(16 + k / 2 * 32, 32);
            for (var l = 0; l < 32; l++) w[32 * k + l] = step * (codes[l] >> (k % 2 * 4) & 15) - shift;
        }
    }

    private static void Q5K(ReadOnlySpan<byte> block, Span<float> w)
    {
        float d = Half(block, 0), minimum = Half(block, 2);
        for (var k = 0; k < 8; k++)
        {
            var (scale, min) = SixBitScale(block.Slice(4, 12), k);
            float step = d * scale, shift = minimum * min;
            ReadOnlySpan<byte> high = block.Slice(16, 32), codes = block.Slice(48 + k / 2 * 32, 32);
            for (var l = 0; l < 32; l++) w[32 * k + l] = step * ((codes[l] >> (k % 2 * 4) & 15) + (high[l] >> k & 1) * 16) - shift;
        }
    }

    private static void Q6K(ReadOnlySpan<byte> block, Span<float> w)
    {
        var d = Half(block, 208);
        for (var i = 0; i < 256; i++)
        {
            int half = i / 128, quarter = i % 128 / 32, l = i % 32;
            int low = block[64 * half + 32 * (quarter % 2) + l] >> (quarter / 2 * 4) & 15;
            int high = block[128 + 32 * half + l] >> (2 * quarter) & 3;
            w[i] = d * (sbyte)block[192 + i / 16] * ((low | high << 4) - 32);
        }
    }

    private static void Iq4Nl(ReadOnlySpan<byte> block, Span<float> w)
    {
        var d = Half(block, 0);
        for (var j = 0; j < 16; j++)
        {
            w[j] = d * NonLinearLevels[block[2 + j] & 15];
            w[j + 16] = d * NonLinearLevels[block[2 + j] >> 4];
        }
    }

    private static void Iq4Xs(ReadOnlySpan<byte> block, Span<float> w)
    {
        var d = Half(block, 0);
        int high = U16(block, 2);
        for (var k = 0; k < 8; k++)
        {
            int scale = (block[4 + k / 2] >> (k % 2 * 4) & 15) | (high >> (2 * k) & 3) << 4;
            var step = d * (scale - 32);
            for (var j = 0; j < 16; j++)
            {
                int codes = block[8 + 16 * k + j];
                w[32 * k + j] = step * NonLinearLevels[codes & 15];
                w[32 * k + j + 16] = step * NonLinearLevels[codes >> 4];
            }
        }
    }

    /// <summary>Scale and minimum (0 … 63) of group <paramref name="k"/> in the 12 bytes that begin a block of Q4_K or Q5_K after its halves.</summary>
    public static (int Scale, int Minimum) SixBitScale(ReadOnlySpan<byte> s, int k) => k < 4
        ? (s[k] & 63, s[k + 4] & 63)
        : ((s[k + 4] & 15) | (s[k - 4] >> 6) << 4, (s[k + 4] >> 4) | (s[k] >> 6) << 4);

    private static int FiveBits(int low, uint high, int bit) => low | (int)(high >> bit & 1) << 4;

    private static float Half(ReadOnlySpan<byte> bytes, int at) => (float)BinaryPrimitives.ReadHalfLittleEndian(bytes[at..]);

    private static int U16(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]);
}
