using System.Buffers.Binary;
using System.Text;
using Compress.Core.Torch;

namespace Compress.Core.Tests.Torch;

public class ElfVersionNeedsTests
{
    [Fact]
    public void Marks_only_the_named_requirement_weak()
    {
        var elf = TwoRequirements();
        Assert.True(ElfVersionNeeds.MarkWeak(elf, "GLIBCXX_3.4.32"));
        Assert.Equal(0, Flags(elf, 0));
        Assert.Equal(2, Flags(elf, 1));
    }

    [Fact]
    public void Leaves_a_library_without_the_requirement_as_it_is()
    {
        var elf = TwoRequirements();
        var before = elf.ToArray();
        Assert.False(ElfVersionNeeds.MarkWeak(elf, "GLIBCXX_9.9.99"));
        Assert.Equal(before, elf);
    }

    [Fact]
    public void Refuses_what_is_not_an_elf_file() =>
        Assert.Throws<InvalidDataException>(() => ElfVersionNeeds.MarkWeak(new byte[100], "GLIBCXX_3.4.32"));

    [Fact]
    public void Torch_computes()
    {
        TorchBackend.EnsureLoaded();
        using var ones = TorchSharp.torch.ones(3, 4);
        using var sum = ones.sum();
        Assert.Equal(12f, sum.item<float>());
    }

    private const int Needs = 64, Strings = 128, Sections = 192;

    /// <summary>A minimal ELF image: header, one Verneed with two Vernaux entries, a string table, two section headers.</summary>
    private static byte[] TwoRequirements()
    {
        var elf = new byte[Sections + 2 * 64];
        new byte[] { 0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1 }.CopyTo(elf, 0);
        BinaryPrimitives.WriteUInt64LittleEndian(elf.AsSpan(0x28), Sections);
        BinaryPrimitives.WriteUInt16LittleEndian(elf.AsSpan(0x3A), 64);
        BinaryPrimitives.WriteUInt16LittleEndian(elf.AsSpan(0x3C), 2);
        var names = "\0GLIBCXX_3.4\0GLIBCXX_3.4.32\0";
        Encoding.ASCII.GetBytes(names).CopyTo(elf, Strings);
        // Section 0: .gnu.version_r linked to section 1: its strings.
        BinaryPrimitives.WriteInt32LittleEndian(elf.AsSpan(Sections + 4), 0x6ffffffe);
        BinaryPrimitives.WriteUInt64LittleEndian(elf.AsSpan(Sections + 24), Needs);
        BinaryPrimitives.WriteInt32LittleEndian(elf.AsSpan(Sections + 40), 1);
        BinaryPrimitives.WriteInt32LittleEndian(elf.AsSpan(Sections + 44), 1);
        BinaryPrimitives.WriteUInt64LittleEndian(elf.AsSpan(Sections + 64 + 24), Strings);
        BinaryPrimitives.WriteUInt16LittleEndian(elf.AsSpan(Needs + 2), 2);
        BinaryPrimitives.WriteInt32LittleEndian(elf.AsSpan(Needs + 8), 16);
        for (var i = 0; i < 2; i++)
        {
            var aux = Needs + 16 + 16 * i;
            BinaryPrimitives.WriteInt32LittleEndian(elf.AsSpan(aux + 8), i == 0 ? 1 : 13);
            BinaryPrimitives.WriteInt32LittleEndian(elf.AsSpan(aux + 12), i == 0 ? 16 : 0);
        }
        return elf;
    }

    private static int Flags(byte[] elf, int entry) => BinaryPrimitives.ReadUInt16LittleEndian(elf.AsSpan(Needs + 16 + 16 * entry + 4));
}
