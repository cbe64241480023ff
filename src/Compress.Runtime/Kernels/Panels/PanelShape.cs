namespace Compress.Runtime.Kernels.Panels;

/// <summary>What distinguishes one panel kernel from another.</summary>
/// <param name="Bits">Bits of a code as it is read: 2, 3, 4, 5, 6 or 8.</param>
/// <param name="Groups">Groups of a block with a scale of their own: 1 (of 32 columns) or 2 (of 16).</param>
/// <param name="Tokens">Tokens served at once.</param>
/// <param name="Lookup">True where 4-bit codes index a table of 16 bytes.</param>
internal readonly record struct PanelShape(int Bits, int Groups, int Tokens, bool Lookup = false);
