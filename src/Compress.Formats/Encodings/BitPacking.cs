using System.Runtime.InteropServices;

namespace Compress.Formats.Encodings;

/// <summary>
/// Codes of 1 to 8 bits as a little-endian bit stream in 32-bit words: code i takes the bits i·b … i·b + b − 1, across word ends where
/// b does not divide 32. This is the common core of compressed-tensors and GPTQ.
/// </summary>
internal static class BitPacking
{
    /// <summary>Words for a number of codes; the last one is filled with zero bits.</summary>
    public static int Words(int count, int bits) => (int)(((long)count * bits + 31) / 32);

    public static void Pack(ReadOnlySpan<byte> codes, int bits, Span<uint> words)
    {
        ulong pending = 0;
        var (held, next) = (0, 0);
        foreach (var code in codes)
        {
            pending |= (ulong)code << held;
            held += bits;
            if (held < 32) continue;
            words[next++] = (uint)pending;
            pending >>= 32;
            held -= 32;
        }
        if (held > 0) words[next] = (uint)pending;
    }

    public static void Unpack(ReadOnlySpan<uint> words, int bits, Span<byte> codes)
    {
        ulong pending = 0;
        var (held, next) = (0, 0);
        var mask = (1u << bits) - 1;
        for (var i = 0; i < codes.Length; i++)
        {
            if (held < bits)
            {
                pending |= (ulong)words[next++] << held;
                held += 32;
            }
            codes[i] = (byte)(pending & mask);
            pending >>= bits;
            held -= bits;
        }
    }

    /// <summary>Bytes of a stream of codes, the last one filled with zero bits.</summary>
    public static int ByteCount(int count, int bits) => (int)(((long)count * bits + 7) / 8);

    /// <summary>Packs codes to whole bytes.</summary>
    public static byte[] PackBytes(byte[] codes, int bits)
    {
        if (bits == 8) return codes;
        var bytes = new byte[ByteCount(codes.Length, bits)];
        ForPieces(codes.Length, (first, count) =>
        {
            var words = new uint[Words(count, bits)];
            Pack(codes.AsSpan(first, count), bits, words);
            var at = ByteCount(first, bits);
            MemoryMarshal.AsBytes<uint>(words)[..ByteCount(count, bits)].CopyTo(bytes.AsSpan(at));
        });
        return bytes;
    }

    /// <summary>The reverse of <see cref="PackBytes"/>.</summary>
    /// <param name="bytes">As many as <see cref="ByteCount"/> says.</param>
    /// <param name="bits">Bits of a code.</param>
    /// <param name="count">Codes.</param>
    public static byte[] UnpackBytes(byte[] bytes, int bits, int count)
    {
        if (bits == 8) return bytes;
        var codes = new byte[count];
        ForPieces(count, (first, length) =>
        {
            var words = new uint[Words(length, bits)];
            bytes.AsSpan(ByteCount(first, bits), ByteCount(length, bits)).CopyTo(MemoryMarshal.AsBytes(words.AsSpan()));
            Unpack(words, bits, codes.AsSpan(first, length));
        });
        return codes;
    }

    /// <summary>Packs each column of a matrix: <c>[rows, columns]</c> codes to <c>[words of rows, columns]</c>.</summary>
    public static uint[] PackColumns(ReadOnlySpan<byte> codes, int rows, int columns, int bits)
    {
        var perColumn = Words(rows, bits);
        var result = new uint[perColumn * columns];
        var (column, words) = (new byte[rows], new uint[perColumn]);
        for (var c = 0; c < columns; c++)
        {
            for (var r = 0; r < rows; r++) column[r] = codes[r * columns + c];
            Pack(column, bits, words);
            for (var w = 0; w < perColumn; w++) result[w * columns + c] = words[w];
        }
        return result;
    }

    /// <summary>The reverse of <see cref="PackColumns"/>.</summary>
    public static byte[] UnpackColumns(ReadOnlySpan<uint> packed, int rows, int columns, int bits)
    {
        var perColumn = Words(rows, bits);
        var result = new byte[checked(rows * columns)];
        var (column, words) = (new byte[rows], new uint[perColumn]);
        for (var c = 0; c < columns; c++)
        {
            for (var w = 0; w < perColumn; w++) words[w] = packed[w * columns + c];
            Unpack(words, bits, column);
            for (var r = 0; r < rows; r++) result[r * columns + c] = column[r];
        }
        return result;
    }

    /// <summary>Pieces of whole bytes, on all cores.</summary>
    static void ForPieces(int count, Action<int, int> piece)
    {
        const int Length = 1 << 16;
        Parallel.For(0, (int)(((long)count + Length - 1) / Length), i => piece(i * Length, Math.Min(Length, count - i * Length)));
    }
}
