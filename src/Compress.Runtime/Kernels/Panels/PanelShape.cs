namespace Compress.Runtime.Kernels.Panels;

/// <summary>What distinguishes one panel kernel from another.</summary>
/// <param name="Bits">Bits of a code as it is read: 2, 3, 4, 5, 6 or 8.</param>
/// <param name="Groups">Groups of a block with a scale of their own: 1 (of 32 columns) or 2 (of 16).</param>
/// <param name="Tokens">Tokens served at once.</param>
/// <param name="Lookup">True where 4-bit codes index a table of 16 bytes.</param>
/// <param name="Scaling">How scales lie in memory.</param>
internal readonly record struct PanelShape(int Bits, int Groups, int Tokens, bool Lookup = false, PanelScaling Scaling = default);

/// <summary>How a kernel finds scales and offsets.</summary>
internal enum PanelScaling
{
    /// <summary>Floats, decoded before.</summary>
    Decoded,

    /// <summary>Halves as stored, sixteen a block, and one code that stands for 0.</summary>
    HalfAroundMiddle,

    /// <summary>Halves as stored, for each block sixteen scales and sixteen minima.</summary>
    HalfWithMinimum,
}
