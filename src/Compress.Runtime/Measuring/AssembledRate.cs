using Compress.Runtime.Kernels.Assembly;
using Compress.Runtime.Kernels.Panels;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Compress.Runtime.Measuring;

/// <summary>The rate of <c>vpdpbusd</c> on 512 bits, for which this .NET has no intrinsic: what the assembled kernels are made of.</summary>
internal static unsafe class AssembledRate
{
    private const int Steps = 1 << 20;

    private static readonly AssemblerRegisterZMM[] Sums =
        [zmm0, zmm1, zmm2, zmm3, zmm4, zmm5, zmm6, zmm7, zmm8, zmm9, zmm10, zmm11, zmm12, zmm13, zmm14, zmm15];

    private static readonly Lazy<nint> Code = new(() => PanelKernels.Assembled ? ExecutableMemory.Place(Assemble()) : 0);

    /// <summary>Whether kernels are assembled at run time here.</summary>
    public static bool IsAvailable => Code.Value != 0;

    /// <summary>Multiplications and additions of 8-bit integers a second.</summary>
    public static double Integers(int threads, TimeSpan time)
    {
        // 64 products of bytes, each added.
        var operations = 128.0 * Sums.Length * Steps;
        return MachineRates.Best(threads, time, operations, _ => ((delegate* unmanaged<int, void>)Code.Value)(Steps));
    }

    /// <summary>A loop of as many rounds as its argument says: System V, the argument in edi.</summary>
    private static byte[] Assemble()
    {
        var code = new Assembler(64);
        var (loop, operand) = (code.CreateLabel(), zmm31);
        foreach (var register in Sums.Append(operand)) code.vpxord(register, register, register);
        code.Label(ref loop);
        foreach (var sum in Sums) code.vpdpbusd(sum, operand, operand);
        code.dec(edi);
        code.jne(loop);
        code.vzeroupper();
        code.ret();
        using var stream = new MemoryStream();
        code.Assemble(new StreamCodeWriter(stream), 0);
        return stream.ToArray();
    }
}
