using System.Runtime.InteropServices;

namespace Compress.Runtime.Kernels.Panels;

/// <summary>The operands of an expansion: kept codes go where the masks have a 1, the background's elsewhere. Known to assembled code.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ExpandCall
{
    /// <summary>Masks, 64 bits a step.</summary>
    public ulong* Masks;

    /// <summary>Kept codes, one a byte, in the order of the mask's bits.</summary>
    public byte* Kept;

    /// <summary>64 times the code that stands for 0.</summary>
    public byte* Background;

    /// <summary>Blocks.</summary>
    public long Blocks;

    /// <summary>Receives 512 bytes a block.</summary>
    public byte* Codes;
}
