using System.Buffers.Binary;
using System.Text;

namespace Compress.Core.Torch;

/// <summary>
/// Edits the symbol-version requirements (<c>.gnu.version_r</c>) of a 64-bit little-endian ELF library held in memory.
/// </summary>
/// <remarks>
/// TorchSharp 0.107 was linked against GCC 13's libstdc++ and names version <c>GLIBCXX_3.4.32</c> only for
/// <c>ios_base_library_init</c>, which no relocation uses. The loader of a system with GCC 12's libstdc++ (Debian 12,
/// Ubuntu 22.04) refuses the library for that name alone; a requirement marked weak is only warned about.
/// Layout: System V gABI, "Symbol Versioning" of the Linux Standard Base, section 10.7.
/// </remarks>
internal static class ElfVersionNeeds
{
    private const int SectionTypeVersionNeeds = 0x6ffffffe;
    private const ushort WeakFlag = 2;

    /// <summary>Sets the weak flag on the requirement named <paramref name="version"/>.</summary>
    /// <returns>True when a requirement of that name was found and is now weak.</returns>
    /// <exception cref="InvalidDataException">The bytes are not a 64-bit little-endian ELF file with sections.</exception>
    public static bool MarkWeak(Span<byte> elf, string version)
    {
        if (elf.Length < 64 || !elf[..6].SequenceEqual(new byte[] { 0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1 }))
            throw new InvalidDataException("not a 64-bit little-endian ELF file");
        var sectionTable = Offset(elf, 0x28);
        int entrySize = U16(elf, 0x3A), count = U16(elf, 0x3C);
        var found = false;
        for (var i = 0; i < count; i++)
        {
            var header = checked(sectionTable + i * entrySize);
            if (I32(elf, header + 4) != SectionTypeVersionNeeds) continue;
            var strings = Offset(elf, sectionTable + I32(elf, header + 40) * entrySize + 24);
            found |= MarkInSection(elf, Offset(elf, header + 24), I32(elf, header + 44), strings, version);
        }
        return found;
    }

    private static bool MarkInSection(Span<byte> elf, int need, int needCount, int strings, string version)
    {
        var found = false;
        for (var n = 0; n < needCount; n++)
        {
            int auxCount = U16(elf, need + 2), aux = need + I32(elf, need + 8);
            for (var a = 0; a < auxCount; a++)
            {
                if (StringAt(elf, strings + I32(elf, aux + 8)) == version)
                {
                    BinaryPrimitives.WriteUInt16LittleEndian(elf[(aux + 4)..], (ushort)(U16(elf, aux + 4) | WeakFlag));
                    found = true;
                }
                aux += I32(elf, aux + 12);
            }
            need += I32(elf, need + 12);
        }
        return found;
    }

    private static string StringAt(ReadOnlySpan<byte> elf, int at)
    {
        var tail = elf[at..];
        return Encoding.ASCII.GetString(tail[..tail.IndexOf((byte)0)]);
    }

    private static int Offset(ReadOnlySpan<byte> elf, int at) => checked((int)BinaryPrimitives.ReadUInt64LittleEndian(elf[at..]));

    private static int I32(ReadOnlySpan<byte> elf, int at) => BinaryPrimitives.ReadInt32LittleEndian(elf[at..]);

    private static ushort U16(ReadOnlySpan<byte> elf, int at) => BinaryPrimitives.ReadUInt16LittleEndian(elf[at..]);
}
