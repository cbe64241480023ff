using System.Buffers.Binary;

namespace Compress.Formats.Tokenizers;

/// <summary>SentencePiece's precompiled character map: a double-array trie of UTF-8 prefixes and the texts that replace them.</summary>
/// <remarks>
/// Layout (normalizer.cc and darts-clone, both by their authors' documentation): trie size in bytes as a little-endian u32, the
/// trie's u32 units, then NUL-terminated replacements. A unit holds its label in bits 0-7, the mark of a finished key in bit 8, and
/// an offset in bits 10-30 that bit 9 multiplies by 256.
/// </remarks>
sealed class PrecompiledCharsMap
{
    readonly uint[] units;
    readonly byte[] replacements;

    /// <summary>Reads the map.</summary>
    /// <exception cref="FormatException">The sizes do not fit, or the replacements are not closed.</exception>
    internal PrecompiledCharsMap(ReadOnlySpan<byte> blob)
    {
        if (blob.Length < 8) throw new FormatException("the precompiled character map is cut off");
        var size = BinaryPrimitives.ReadUInt32LittleEndian(blob);
        if (size == 0 || size % 4 != 0 || size > blob.Length - 5 || blob[^1] != 0)
        {
            throw new FormatException("the precompiled character map is damaged");
        }
        units = new uint[size / 4];
        for (var i = 0; i < units.Length; i++) units[i] = BinaryPrimitives.ReadUInt32LittleEndian(blob[(4 + i * 4)..]);
        replacements = blob[(4 + (int)size)..].ToArray();
    }

    /// <summary>The longest prefix of the text that the map replaces.</summary>
    internal bool TryLongest(ReadOnlySpan<byte> text, out int length, out ReadOnlySpan<byte> replacement) =>
        TryFind(text, shortest: false, out length, out replacement);

    /// <summary>The shortest prefix of the text that the map replaces.</summary>
    internal bool TryShortest(ReadOnlySpan<byte> text, out int length, out ReadOnlySpan<byte> replacement) =>
        TryFind(text, shortest: true, out length, out replacement);

    bool TryFind(ReadOnlySpan<byte> text, bool shortest, out int length, out ReadOnlySpan<byte> replacement)
    {
        length = 0;
        replacement = default;
        var position = Offset(units[0]);
        var found = -1;
        for (var i = 0; i < text.Length; i++)
        {
            position ^= text[i];
            if (position >= units.Length) break;
            var unit = units[position];
            if ((unit & 0x800000FF) != text[i]) break;
            position ^= Offset(unit);
            if ((unit & 0x100) == 0) continue;
            if (position >= units.Length) break;
            found = (int)(units[position] & 0x7FFFFFFF);
            length = i + 1;
            if (shortest) break;
        }
        if (found < 0 || found >= replacements.Length) return false;
        replacement = replacements.AsSpan(found);
        replacement = replacement[..replacement.IndexOf((byte)0)];
        return true;
    }

    static uint Offset(uint unit) => (unit >> 10) << (int)((unit & 0x200) >> 6);
}
