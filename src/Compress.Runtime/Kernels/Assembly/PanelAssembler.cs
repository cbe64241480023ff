using Compress.Runtime.Kernels.Panels;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Compress.Runtime.Kernels.Assembly;

/// <summary>Writes the machine code of a panel product with AVX-512 VNNI, whose <c>vpdpbusd</c> this .NET has no intrinsic for.</summary>
/// <remarks>
/// Registers: one f32 sum a token in zmm0 …, one or two integer sums a token above them, and from zmm31 down the working vectors. The
/// calling convention is System V: the address of a <see cref="PanelCall"/> in rdi, no register to preserve.
/// </remarks>
internal sealed class PanelAssembler
{
    private static readonly AssemblerRegisterZMM[] Registers =
    [
        zmm0, zmm1, zmm2, zmm3, zmm4, zmm5, zmm6, zmm7, zmm8, zmm9, zmm10, zmm11, zmm12, zmm13, zmm14, zmm15,
        zmm16, zmm17, zmm18, zmm19, zmm20, zmm21, zmm22, zmm23, zmm24, zmm25, zmm26, zmm27, zmm28, zmm29, zmm30, zmm31,
    ];

    private readonly Assembler code = new(64);
    private readonly PanelShape shape;
    private readonly AssemblerRegisterZMM[] sums;
    private readonly AssemblerRegisterZMM[][] dots;

    private PanelAssembler(PanelShape shape)
    {
        this.shape = shape;
        sums = [.. Registers.Take(shape.Tokens)];
        // A second set of sums lets the two halves of a block be summed side by side, and hides the latency of few tokens.
        dots = [.. Registers.Skip(shape.Tokens).Chunk(shape.Tokens).Take(TwoSets ? 2 : 1)];
    }

    private bool TwoSets => 3 * shape.Tokens + Working(shape.Bits) <= 32;

    /// <summary>The machine code of a kernel.</summary>
    public static byte[] Assemble(PanelShape shape)
    {
        var assembler = new PanelAssembler(shape);
        if (shape.Bits < 8 && !assembler.TwoSets) throw new ArgumentException($"{shape} needs more registers than there are", nameof(shape));
        assembler.Emit();
        using var stream = new MemoryStream();
        assembler.code.Assemble(new StreamCodeWriter(stream), 0);
        return stream.ToArray();
    }

    /// <summary>Working vectors from zmm31 down: code, scale, product, middle, masks, planes, table.</summary>
    private static int Working(int bits) => bits == 8 ? 4 : 10;

    private static AssemblerRegisterZMM Code => zmm31;

    private static AssemblerRegisterZMM Scale => zmm30;

    private static AssemblerRegisterZMM Product => zmm29;

    private static AssemblerRegisterZMM Middle => zmm28;

    private static AssemblerRegisterZMM Plane => zmm27;

    private static AssemblerRegisterZMM LowMask => zmm26;

    private static AssemblerRegisterZMM HighMask => zmm25;

    private static AssemblerRegisterZMM Table => zmm24;

    private static AssemblerRegisterZMM HighPlane(int vector) => vector == 0 ? zmm23 : zmm22;

    private void Emit()
    {
        Constants();
        code.mov(rax, __[rdi]);
        code.mov(rcx, __[rdi + 8]);
        code.mov(rdx, __[rdi + 16]);
        code.mov(rsi, __[rdi + 24]);
        code.mov(r8, __[rdi + 32]);
        code.mov(r9, __[rdi + 40]);
        code.mov(r10, __[rdi + 48]);
        code.mov(r11, __[rdi + 56]);
        for (var t = 0; t < shape.Tokens; t++) code.vmovups(sums[t], __zmmword_ptr[r11 + 64 * t]);
        var loop = code.CreateLabel();
        code.Label(ref loop);
        for (var line = 0; shape.Tokens <= PanelKernels.PackedTokens && line < CodePlanes.BlockBytes(shape.Bits); line += 64)
            code.prefetcht0(__byte_ptr[rax + PanelMatrix.ReadAhead + line]);
        Block();
        code.add(rax, CodePlanes.BlockBytes(shape.Bits));
        code.add(rcx, shape.Scaling == PanelScaling.HalfAroundMiddle ? 32 : 64 * shape.Groups);
        code.add(rdx, 64 * shape.Groups);
        code.add(rsi, CodePlanes.BlockColumns * shape.Tokens);
        code.add(r8, 4 * shape.Tokens);
        code.add(r9, 4 * shape.Tokens * shape.Groups);
        code.dec(r10);
        code.jne(loop);
        for (var t = 0; t < shape.Tokens; t++) code.vmovups(__zmmword_ptr[r11 + 64 * t], sums[t]);
        code.vzeroupper();
        code.ret();
    }

    private void Constants()
    {
        if (shape.Bits < 8)
        {
            var (low, high) = CodePlanes.Planes(shape.Bits);
            Fill(LowMask, (1 << low) - 1);
            if (high > 0) Fill(HighMask, (1 << high) - 1 << low);
        }
        if (shape.Scaling == PanelScaling.HalfAroundMiddle) code.vbroadcastss(Middle, __dword_ptr[rdi + 72]);
        if (!shape.Lookup) return;
        code.mov(rax, __[rdi + 64]);
        code.vmovdqu64(Table, __zmmword_ptr[rax]);
    }

    private void Fill(AssemblerRegisterZMM register, int value)
    {
        code.mov(eax, value * 0x01010101);
        code.vpbroadcastd(register, eax);
    }

    private void Block()
    {
        foreach (var set in dots)
        {
            foreach (var dot in set) code.vpxord(dot, dot, dot);
        }
        if (shape.Bits == 8) WholeCodes();
        else PlaneCodes();
    }

    private void WholeCodes()
    {
        for (var step = 0; step < CodePlanes.Steps; step++)
        {
            code.vmovdqu64(Code, __zmmword_ptr[rax + 64 * step]);
            Dot(Code, step);
            if (shape.Groups == 2 && !TwoSets && step == 3)
            {
                Apply(dots[0], 0);
                foreach (var dot in dots[0]) code.vpxord(dot, dot, dot);
            }
        }
        Finish();
    }

    private void PlaneCodes()
    {
        var (low, high) = CodePlanes.Planes(shape.Bits);
        for (var v = 0; v < high; v++) code.vmovdqu64(HighPlane(v), __zmmword_ptr[rax + 64 * (low + v)]);
        for (var v = 0; v < low; v++)
        {
            code.vmovdqu64(Plane, __zmmword_ptr[rax + 64 * v]);
            for (var slot = 0; slot < 8 / low; slot++)
            {
                var step = slot * low + v;
                if (slot == 0) code.vpandd(Code, Plane, LowMask);
                else
                {
                    code.vpsrlw(Code, Plane, (byte)(slot * low));
                    code.vpandd(Code, Code, LowMask);
                }
                if (high > 0) AddHigh(step, low, high);
                if (shape.Lookup) code.vpshufb(Code, Table, Code);
                Dot(Code, step);
            }
        }
        Finish();
    }

    private void AddHigh(int step, int low, int high)
    {
        const byte OrOfAnd = 0xF8;
        var plane = HighPlane(step % high);
        var shift = step / high * high - low;
        if (shift > 0) code.vpsrlw(Product, plane, (byte)shift);
        if (shift < 0) code.vpsllw(Product, plane, (byte)-shift);
        code.vpternlogd(Code, shift == 0 ? plane : Product, HighMask, OrOfAnd);
    }

    private void Dot(AssemblerRegisterZMM codes, int step)
    {
        var set = dots[TwoSets && step >= CodePlanes.Steps / 2 ? 1 : 0];
        for (var t = 0; t < shape.Tokens; t++) code.vpdpbusd(set[t], codes, __dword_bcst[rsi + 4 * (step * shape.Tokens + t)]);
    }

    private void Finish()
    {
        if (shape.Groups == 2)
        {
            if (TwoSets) Apply(dots[0], 0);
            Apply(dots[^1], 1);
            return;
        }
        if (TwoSets)
        {
            for (var t = 0; t < shape.Tokens; t++) code.vpaddd(dots[0][t], dots[0][t], dots[1][t]);
        }
        Apply(dots[0], 0);
    }

    private void Apply(AssemblerRegisterZMM[] set, int group)
    {
        if (shape.Scaling == PanelScaling.Decoded) ApplyDecoded(set, group);
        else ApplyHalves(set);
    }

    private void ApplyHalves(AssemblerRegisterZMM[] set)
    {
        code.vcvtph2ps(Scale, __ymmword_ptr[rcx]);
        var around = shape.Scaling == PanelScaling.HalfAroundMiddle;
        if (!around) code.vcvtph2ps(Code, __ymmword_ptr[rcx + 32]);
        for (var t = 0; t < shape.Tokens; t++)
        {
            code.vcvtdq2ps(set[t], set[t]);
            if (around)
            {
                code.vmulps(Product, Middle, __dword_bcst[r9 + 4 * t]);
                code.vfmadd231ps(Product, set[t], __dword_bcst[r8 + 4 * t]);
            }
            else
            {
                code.vmulps(Product, set[t], __dword_bcst[r8 + 4 * t]);
                code.vfmadd231ps(sums[t], Code, __dword_bcst[r9 + 4 * t]);
            }
            code.vfmadd231ps(sums[t], Product, Scale);
        }
    }

    private void ApplyDecoded(AssemblerRegisterZMM[] set, int group)
    {
        code.vmovups(Scale, __zmmword_ptr[rcx + 64 * group]);
        for (var t = 0; t < shape.Tokens; t++)
        {
            code.vcvtdq2ps(set[t], set[t]);
            code.vmulps(Product, Scale, __dword_bcst[r8 + 4 * t]);
            code.vfmadd231ps(sums[t], set[t], Product);
        }
        code.vmovups(Scale, __zmmword_ptr[rdx + 64 * group]);
        for (var t = 0; t < shape.Tokens; t++) code.vfmadd231ps(sums[t], Scale, __dword_bcst[r9 + 4 * (group * shape.Tokens + t)]);
    }
}
