using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Compress.Formats.Gguf;

/// <summary>Encodes f32 weights into GGUF's storage types, as llama.cpp's quantizer does without an importance matrix.</summary>
/// <remarks>Source: ggml <c>ggml-quants.c</c>, <c>quantize_row_*_ref</c>. Bytes equal llama.cpp's.</remarks>
public static class GgmlEncoder
{
    private delegate void Block(ReadOnlySpan<float> weights, Span<byte> block);

    /// <summary>Encodes whole blocks.</summary>
    /// <param name="type">F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K or Q6_K.</param>
    /// <param name="source">Finite weights.</param>
    /// <param name="destination">As many bytes as the blocks take.</param>
    /// <exception cref="ArgumentException">Lengths do not match, or the type cannot be written.</exception>
    public static void Encode(GgmlType type, ReadOnlySpan<float> source, Span<byte> destination)
    {
        if (!GgmlTypes.IsKnown(type)) throw new ArgumentException($"unknown tensor type {type}", nameof(type));
        if (type.RowBytes(source.Length) != destination.Length)
            throw new ArgumentException($"{source.Length} weights of {type} do not take {destination.Length} bytes", nameof(destination));
        var encode = BlockEncoder(type);
        int elements = type.BlockElements(), bytes = type.BlockBytes();
        destination.Clear();
        for (var (from, to) = (0, 0); from < source.Length; from += elements, to += bytes)
            encode(source.Slice(from, elements), destination.Slice(to, bytes));
    }

    private static Block BlockEncoder(GgmlType type) => type switch
    {
        GgmlType.F32 => (w, b) => MemoryMarshal.AsBytes(w).CopyTo(b),
        GgmlType.F16 => (w, b) => Half(b, 0, w[0]),
        GgmlType.BF16 => (w, b) => BinaryPrimitives.WriteUInt16LittleEndian(b, RoundToBF16(w[0])),
        GgmlType.Q4_0 => Q4_0,
        GgmlType.Q4_1 => Q4_1,
        GgmlType.Q5_0 => Q5_0,
        GgmlType.Q5_1 => Q5_1,
        GgmlType.Q8_0 => Q8_0,
        GgmlType.Q2_K => Q2K,
        GgmlType.Q3_K => Q3K,
        GgmlType.Q4_K => (w, b) => Q45K(w, b, 15, (-1f, 0.1f, 20)),
        GgmlType.Q5_K => (w, b) => Q45K(w, b, 31, (-0.5f, 0.1f, 15)),
        GgmlType.Q6_K => Q6K,
        _ => throw new ArgumentException($"{type} cannot be written", nameof(type)),
    };

    private static void Q4_0(ReadOnlySpan<float> w, Span<byte> block)
    {
        var d = SignedMaximum(w) / -8;
        var inverse = d != 0 ? 1 / d : 0;
        Half(block, 0, d);
        for (var j = 0; j < 16; j++)
        {
            int low = Math.Min(15, (int)(w[j] * inverse + 8.5f)), high = Math.Min(15, (int)(w[j + 16] * inverse + 8.5f));
            block[2 + j] = (byte)(low | high << 4);
        }
    }

    private static void Q4_1(ReadOnlySpan<float> w, Span<byte> block)
    {
        var (min, max) = Range(w);
        var d = (max - min) / 15;
        var inverse = d != 0 ? 1 / d : 0;
        Half(block, 0, d);
        Half(block, 2, min);
        for (var j = 0; j < 16; j++)
        {
            int low = Math.Min(15, (int)((w[j] - min) * inverse + 0.5f)), high = Math.Min(15, (int)((w[j + 16] - min) * inverse + 0.5f));
            block[4 + j] = (byte)(low | high << 4);
        }
    }

    private static void Q5_0(ReadOnlySpan<float> w, Span<byte> block)
    {
        var d = SignedMaximum(w) / -16;
        var inverse = d != 0 ? 1 / d : 0;
        Half(block, 0, d);
        Span<int> codes = stackalloc int[32];
        for (var j = 0; j < 32; j++) codes[j] = Math.Min(31, (int)(w[j] * inverse + 16.5f));
        FiveBits(codes, block[2..]);
    }

    private static void Q5_1(ReadOnlySpan<float> w, Span<byte> block)
    {
        var (min, max) = Range(w);
        var d = (max - min) / 31;
        var inverse = d != 0 ? 1 / d : 0;
        Half(block, 0, d);
        Half(block, 2, min);
        Span<int> codes = stackalloc int[32];
        for (var j = 0; j < 32; j++) codes[j] = (int)((w[j] - min) * inverse + 0.5f);
        FiveBits(codes, block[4..]);
    }

    private static void Q8_0(ReadOnlySpan<float> w, Span<byte> block)
    {
        var d = Math.Abs(SignedMaximum(w)) / 127;
        var inverse = d != 0 ? 1 / d : 0;
        Half(block, 0, d);
        for (var j = 0; j < 32; j++) block[2 + j] = (byte)(sbyte)MathF.Round(w[j] * inverse, MidpointRounding.AwayFromZero);
    }

    private static void Q2K(ReadOnlySpan<float> w, Span<byte> block)
    {
        Span<float> scales = stackalloc float[16], minima = stackalloc float[16], importance = stackalloc float[16];
        Span<byte> codes = stackalloc byte[256];
        for (var k = 0; k < 16; k++)
        {
            var group = w.Slice(16 * k, 16);
            for (var l = 0; l < 16; l++) importance[l] = Math.Abs(group[l]);
            (scales[k], minima[k]) = KQuantSearch.Affine(group, importance, 3, codes.Slice(16 * k, 16), (-0.5f, 0.1f, 15), absolute: true);
        }
        float maxScale = Greatest(scales), maxMin = Greatest(minima);
        for (var k = 0; k < 16; k++)
        {
            var scale = maxScale > 0 ? KQuantSearch.NearestInt(15 / maxScale * scales[k]) : 0;
            var min = maxMin > 0 ? KQuantSearch.NearestInt(15 / maxMin * minima[k]) : 0;
            block[k] = (byte)(scale | min << 4);
        }
        float d = Half(block, 80, maxScale > 0 ? maxScale / 15 : 0), dmin = Half(block, 82, maxMin > 0 ? maxMin / 15 : 0);
        for (var k = 0; k < 16; k++)
        {
            float step = d * (block[k] & 15), shift = dmin * (block[k] >> 4);
            if (step == 0) continue;
            for (var l = 0; l < 16; l++) codes[16 * k + l] = (byte)Math.Clamp(KQuantSearch.NearestInt((w[16 * k + l] + shift) / step), 0, 3);
        }
        for (var i = 0; i < 256; i++) block[16 + i / 128 * 32 + i % 32] |= (byte)(codes[i] << (i % 128 / 32 * 2));
    }

    private static void Q3K(ReadOnlySpan<float> w, Span<byte> block)
    {
        Span<float> scales = stackalloc float[16];
        Span<byte> codes = stackalloc byte[256];
        for (var k = 0; k < 16; k++) scales[k] = KQuantSearch.Descent(w.Slice(16 * k, 16), 4, codes.Slice(16 * k, 16));
        var maxScale = SignedMaximum(scales);
        if (maxScale != 0)
        {
            var inverse = -32 / maxScale;
            for (var k = 0; k < 16; k++)
            {
                var scale = Math.Clamp(KQuantSearch.NearestInt(inverse * scales[k]), -32, 31) + 32;
                block[96 + k % 8] |= (byte)(k < 8 ? scale & 15 : (scale & 15) << 4);
                block[104 + k % 4] |= (byte)((scale >> 4) << (k / 4 * 2));
                scales[k] = scale - 32;
            }
            var d = Half(block, 108, 1 / inverse);
            for (var k = 0; k < 16; k++)
            {
                var step = d * scales[k];
                if (step == 0) continue;
                for (var l = 0; l < 16; l++)
                    codes[16 * k + l] = (byte)(Math.Clamp(KQuantSearch.NearestInt(w[16 * k + l] / step), -4, 3) + 4);
            }
        }
        for (var i = 0; i < 256; i++)
        {
            if (codes[i] > 3) block[i % 32] |= (byte)(1 << (i / 32));
            block[32 + i / 128 * 32 + i % 32] |= (byte)((codes[i] & 3) << (i % 128 / 32 * 2));
        }
    }

    /// <summary>Q4_K (<paramref name="top"/> 15) and Q5_K (31): the fifth bit lies in a plane of its own.</summary>
    private static void Q45K(ReadOnlySpan<float> w, Span<byte> block, int top, (float, float, int) search)
    {
        Span<float> scales = stackalloc float[8], minima = stackalloc float[8], importance = stackalloc float[32];
        Span<byte> codes = stackalloc byte[256];
        for (var k = 0; k < 8; k++)
        {
            var group = w.Slice(32 * k, 32);
            float squares = 0;
            foreach (var x in group) squares += x * x;
            var typical = MathF.Sqrt(squares / 32);
            for (var l = 0; l < 32; l++) importance[l] = typical + Math.Abs(group[l]);
            (scales[k], minima[k]) = KQuantSearch.Affine(group, importance, top, codes.Slice(32 * k, 32), search, absolute: false);
        }
        float maxScale = Greatest(scales), maxMin = Greatest(minima);
        float inverseScale = maxScale > 0 ? 63 / maxScale : 0, inverseMin = maxMin > 0 ? 63 / maxMin : 0;
        var packed = block.Slice(4, 12);
        for (var k = 0; k < 8; k++)
        {
            int scale = Math.Min(63, KQuantSearch.NearestInt(inverseScale * scales[k]));
            int min = Math.Min(63, KQuantSearch.NearestInt(inverseMin * minima[k]));
            if (k < 4)
            {
                packed[k] = (byte)scale;
                packed[k + 4] = (byte)min;
            }
            else
            {
                packed[k + 4] = (byte)(scale & 15 | (min & 15) << 4);
                packed[k - 4] |= (byte)(scale >> 4 << 6);
                packed[k] |= (byte)(min >> 4 << 6);
            }
        }
        float d = Half(block, 0, maxScale / 63), dmin = Half(block, 2, maxMin / 63);
        for (var k = 0; k < 8; k++)
        {
            var (scale, min) = GgmlDecoder.SixBitScale(packed, k);
            float step = d * scale, shift = dmin * min;
            if (step == 0) continue;
            for (var l = 0; l < 32; l++) codes[32 * k + l] = (byte)Math.Clamp(KQuantSearch.NearestInt((w[32 * k + l] + shift) / step), 0, top);
        }
        var low = block[(top == 15 ? 16 : 48)..];
        for (var i = 0; i < 256; i++)
        {
            low[i / 64 * 32 + i % 32] |= (byte)((codes[i] & 15) << (i / 32 % 2 * 4));
            if (codes[i] > 15) block[16 + i % 32] |= (byte)(1 << (i / 32));
        }
    }

    private static void Q6K(ReadOnlySpan<float> w, Span<byte> block)
    {
        Span<float> scales = stackalloc float[16];
        Span<byte> codes = stackalloc byte[256];
        for (var k = 0; k < 16; k++) scales[k] = KQuantSearch.Symmetric(w.Slice(16 * k, 16), [], 32, codes.Slice(16 * k, 16));
        var maxScale = SignedMaximum(scales);
        // A block this small is stored as zeros, as in the reference.
        if (Math.Abs(maxScale) < 1e-15f) return;
        var inverse = -128 / maxScale;
        var d = Half(block, 208, 1 / inverse);
        for (var k = 0; k < 16; k++) block[192 + k] = (byte)(sbyte)Math.Min(127, KQuantSearch.NearestInt(inverse * scales[k]));
        for (var k = 0; k < 16; k++)
        {
            var step = d * (sbyte)block[192 + k];
            if (step == 0) continue;
            for (var l = 0; l < 16; l++)
                codes[16 * k + l] = (byte)(Math.Clamp(KQuantSearch.NearestInt(w[16 * k + l] / step), -32, 31) + 32);
        }
        for (var i = 0; i < 256; i++)
        {
            int half = i / 128, quarter = i % 128 / 32, l = i % 32;
            block[64 * half + 32 * (quarter % 2) + l] |= (byte)((codes[i] & 15) << (quarter / 2 * 4));
            block[128 + 32 * half + l] |= (byte)(codes[i] >> 4 << (2 * quarter));
        }
    }

    private static void FiveBits(ReadOnlySpan<int> codes, Span<byte> block)
    {
        uint high = 0;
        for (var j = 0; j < 32; j++) high |= (uint)(codes[j] >> 4 & 1) << j;
        BinaryPrimitives.WriteUInt32LittleEndian(block, high);
        for (var j = 0; j < 16; j++) block[4 + j] = (byte)(codes[j] & 15 | (codes[j + 16] & 15) << 4);
    }

    private static (float Min, float Max) Range(ReadOnlySpan<float> w)
    {
        float min = float.MaxValue, max = float.MinValue;
        foreach (var x in w)
        {
            if (x < min) min = x;
            if (x > max) max = x;
        }
        return (min, max);
    }

    private static float SignedMaximum(ReadOnlySpan<float> w)
    {
        float max = 0, size = 0;
        foreach (var x in w)
        {
            if (Math.Abs(x) > size) (size, max) = (Math.Abs(x), x);
        }
        return max;
    }

    private static float Greatest(ReadOnlySpan<float> values)
    {
        float greatest = 0;
        foreach (var value in values) greatest = Math.Max(greatest, value);
        return greatest;
    }

    /// <summary>Stores a half and returns what was stored.</summary>
    private static float Half(Span<byte> block, int at, float value)
    {
        var half = (Half)value;
        BinaryPrimitives.WriteHalfLittleEndian(block[at..], half);
        return (float)half;
    }

    private static ushort RoundToBF16(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? (ushort)(bits >> 16 | 64) : (ushort)((bits + (0x7fff + (bits >> 16 & 1))) >> 16);
    }
}
