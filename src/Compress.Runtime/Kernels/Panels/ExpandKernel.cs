using System.Numerics;
using System.Runtime.Intrinsics.X86;
using Compress.Runtime.Kernels.Assembly;

namespace Compress.Runtime.Kernels.Panels;

/// <summary>Expands the kept codes of a sparse weight to steps of 8-bit codes.</summary>
internal static unsafe class ExpandKernel
{
    private static readonly nint Assembled =
        PanelKernels.Assembled && Avx512Vbmi2.IsSupported ? ExecutableMemory.Place(ExpandAssembler.Assemble()) : 0;

    /// <summary>Runs an expansion; leaves <c>Masks</c>, <c>Kept</c> and <c>Codes</c> where the next begins.</summary>
    public static void Run(ExpandCall* call)
    {
        if (Assembled != 0) ((delegate* unmanaged[SuppressGCTransition]<ExpandCall*, void>)Assembled)(call);
        else Plain(call);
    }

    private static void Plain(ExpandCall* call)
    {
        for (var step = 0; step < call->Blocks * CodePlanes.Steps; step++, call->Codes += 64)
        {
            Buffer.MemoryCopy(call->Background, call->Codes, 64, 64);
            for (var mask = *call->Masks++; mask != 0; mask &= mask - 1) call->Codes[BitOperations.TrailingZeroCount(mask)] = *call->Kept++;
        }
    }
}
