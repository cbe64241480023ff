using Compress.Runtime.Kernels.Panels;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Compress.Runtime.Kernels.Assembly;

/// <summary>Writes the machine code that expands kept codes by bit masks (<c>vpexpandb</c> of AVX-512 VBMI2).</summary>
internal static class ExpandAssembler
{
    /// <summary>The machine code; called as <see cref="PanelAssembler"/>'s, with an <see cref="ExpandCall"/>.</summary>
    public static byte[] Assemble()
    {
        // An expansion waits for its destination's old content: destinations take turns.
        AssemblerRegisterZMM[] vectors = [zmm0, zmm1, zmm2, zmm3, zmm4, zmm5, zmm16, zmm17];
        AssemblerRegisterK[] masks = [k1, k2, k3, k4];
        var code = new Assembler(64);
        code.mov(rax, __[rdi]);
        code.mov(rcx, __[rdi + 8]);
        code.mov(rdx, __[rdi + 16]);
        code.mov(r8, __[rdi + 24]);
        code.mov(r9, __[rdi + 32]);
        code.vmovdqu64(zmm31, __zmmword_ptr[rdx]);
        var loop = code.CreateLabel();
        code.Label(ref loop);
        code.prefetcht0(__byte_ptr[rax + PanelMatrix.ReadAhead]);
        for (var step = 0; step < CodePlanes.Steps; step++)
        {
            var mask = masks[step % masks.Length];
            var vector = vectors[step];
            code.kmovq(mask, __qword_ptr[rax + 8 * step]);
            code.popcnt(r10, __qword_ptr[rax + 8 * step]);
            code.vmovdqa64(vector, zmm31);
            code.vpexpandb(vector.k(mask), __zmmword_ptr[rcx]);
            if (step % 2 == 0) code.prefetcht0(__byte_ptr[rcx + PanelMatrix.ReadAhead]);
            code.add(rcx, r10);
            code.vmovdqu64(__zmmword_ptr[r9 + 64 * step], vector);
        }
        code.add(rax, 8 * CodePlanes.Steps);
        code.add(r9, CodePlanes.UnpackedBytes);
        code.dec(r8);
        code.jne(loop);
        code.mov(__[rdi], rax);
        code.mov(__[rdi + 8], rcx);
        code.mov(__[rdi + 32], r9);
        code.vzeroupper();
        code.ret();
        using var stream = new MemoryStream();
        code.Assemble(new StreamCodeWriter(stream), 0);
        return stream.ToArray();
    }

    private static AssemblerRegisterZMM k(this AssemblerRegisterZMM vector, AssemblerRegisterK mask) =>
        mask == k1 ? vector.k1 : mask == k2 ? vector.k2 : mask == k3 ? vector.k3 : vector.k4;
}
