namespace Compress.Runtime.Kernels.Panels;

/// <summary>
/// How a weight is kept for the products: panels of sixteen rows, each its codes (<see cref="CodePlanes"/>) and behind them its scales,
/// as many bytes as the encoding it came from.
/// </summary>
/// <param name="bits">Bits of a code.</param>
/// <param name="groups">Groups of a block of 32 columns that have a scale of their own: 1 or 2.</param>
internal abstract unsafe class PanelFormat(int bits, int groups)
{
    /// <summary>Bits of a code.</summary>
    public int Bits { get; } = bits;

    /// <summary>Groups of a block of 32 columns that have a scale of their own: 1 or 2.</summary>
    public int Groups { get; } = groups;

    /// <summary>Sixteen levels that 4-bit codes index, repeated to 64 bytes; null where codes are numbers.</summary>
    public virtual byte* Levels => null;

    /// <summary>Bytes of a panel's scales.</summary>
    /// <param name="blocks">Blocks of 32 columns.</param>
    public abstract int ScaleBytes(int blocks);

    /// <summary>Decodes scales: weight = code · scale + offset.</summary>
    /// <param name="area">The panel's scales.</param>
    /// <param name="first">First block.</param>
    /// <param name="count">Blocks; with <paramref name="first"/> whole superblocks.</param>
    /// <param name="scales">Receives <c>[count · groups, 16]</c>.</param>
    /// <param name="offsets">Likewise.</param>
    public abstract void DecodeScales(byte* area, int first, int count, float* scales, float* offsets);

    /// <summary>Bytes of a panel.</summary>
    public nint PanelBytes(int blocks) => (nint)blocks * CodePlanes.BlockBytes(Bits) + ScaleBytes(blocks);
}
