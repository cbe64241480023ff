using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Compress.Runtime.Kernels.Assembly;

namespace Compress.Runtime.Kernels.Panels;

/// <summary>
/// The kernels of panel products: assembled ones where the processor has AVX-512 VNNI and the system allows executable pages, otherwise
/// <see cref="PanelFallback"/>. Chosen once; <c>COMPRESS_KERNELS=intrinsics</c> forces the latter.
/// </summary>
internal static unsafe class PanelKernels
{
    private const int Widths = QuantizedInput.Tile + 1;
    private static readonly nint[] Addresses = new nint[9 * 2 * 2 * 3 * Widths];
    private static readonly Lock Building = new();

    /// <summary>True where kernels are assembled.</summary>
    public static bool Assembled { get; } = Supported();

    /// <summary>Most tokens that a kernel of packed codes serves; more are served faster from unpacked ones.</summary>
    public const int PackedTokens = 4;

    /// <summary>Runs a product.</summary>
    public static void Run(in PanelShape shape, PanelCall* call)
    {
        var address = Address(shape);
        if (address != 0) ((delegate* unmanaged[SuppressGCTransition]<PanelCall*, void>)address)(call);
        else PanelFallback.Run(shape, call);
    }

    /// <summary>Machine code of a kernel, made on first use; 0 where there is none.</summary>
    private static nint Address(in PanelShape shape)
    {
        if (!Assembled) return 0;
        var index = (((shape.Bits * 2 + shape.Groups - 1) * 2 + (shape.Lookup ? 1 : 0)) * 3 + (int)shape.Scaling) * Widths + shape.Tokens;
        var address = Volatile.Read(ref Addresses[index]);
        return address != 0 ? address : Build(shape, index);
    }

    private static nint Build(in PanelShape shape, int index)
    {
        lock (Building)
        {
            if (Addresses[index] == 0) Volatile.Write(ref Addresses[index], ExecutableMemory.Place(PanelAssembler.Assemble(shape)));
            return Addresses[index];
        }
    }

    private static bool Supported()
    {
        const int Vnni = 1 << 11;
        return OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64
            && Avx512BW.IsSupported && X86Base.IsSupported && (X86Base.CpuId(7, 0).Ecx & Vnni) != 0
            && Environment.GetEnvironmentVariable("COMPRESS_KERNELS") != "intrinsics"
            && ExecutableMemory.Place([0xC3]) != 0;
    }
}
