using System.Text;

namespace Compress.Formats.Tokenizers;

/// <summary>The printable stand-ins that GPT-2's byte-level BPE writes for the 256 bytes (encoder.py, <c>bytes_to_unicode</c>).</summary>
static class ByteAlphabet
{
    static readonly char[] Characters = Build();
    static readonly short[] Bytes = Invert();

    internal static char CharacterOf(byte value) => Characters[value];

    /// <summary>The byte that a character stands for, or -1.</summary>
    internal static int ByteOf(char character) => character < Bytes.Length ? Bytes[character] : -1;

    /// <summary>Writes each UTF-8 byte of a text as its stand-in.</summary>
    internal static string Encode(ReadOnlySpan<char> text)
    {
        var length = Encoding.UTF8.GetByteCount(text);
        return string.Create(length, text, static (to, from) =>
        {
            var rented = System.Buffers.ArrayPool<byte>.Shared.Rent(to.Length);
            var bytes = rented.AsSpan(0, Encoding.UTF8.GetBytes(from, rented));
            for (var i = 0; i < bytes.Length; i++) to[i] = Characters[bytes[i]];
            System.Buffers.ArrayPool<byte>.Shared.Return(rented);
        });
    }

    static char[] Build()
    {
        var characters = new char[256];
        var next = (char)256;
        for (var b = 0; b < 256; b++)
        {
            var printable = b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            characters[b] = printable ? (char)b : next++;
        }
        return characters;
    }

    static short[] Invert()
    {
        var bytes = new short[512];
        Array.Fill(bytes, (short)-1);
        for (var b = 0; b < 256; b++) bytes[Characters[b]] = (short)b;
        return bytes;
    }
}
