namespace Compress.Runtime.Kernels.Panels;

/// <summary>
/// How a weight is kept for the products: panels of sixteen rows, each in chunks of 256 columns, each its scales and then its codes
/// (<see cref="CodePlanes"/>): one stream of as many bytes as the encoding it came from.
/// </summary>
/// <param name="bits">Bits of a code.</param>
/// <param name="groups">Groups of a block of 32 columns that have a scale of their own: 1 or 2.</param>
internal abstract unsafe class PanelFormat(int bits, int groups)
{
    /// <summary>Blocks of a chunk: a superblock of GGUF. A panel's last chunk may be shorter.</summary>
    public const int ChunkBlocks = 8;

    /// <summary>Bits of a code.</summary>
    public int Bits { get; } = bits;

    /// <summary>Groups of a block of 32 columns that have a scale of their own: 1 or 2.</summary>
    public int Groups { get; } = groups;

    /// <summary>Sixteen levels that 4-bit codes index, repeated to 64 bytes; null where codes are numbers.</summary>
    public virtual byte* Levels => null;

    /// <summary>How kernels of few tokens can read the scales as they are stored.</summary>
    public virtual PanelScaling Scaling => PanelScaling.Decoded;

    /// <summary>The code that stands for 0 in <see cref="PanelScaling.HalfAroundMiddle"/>.</summary>
    public virtual int Middle => 0;

    /// <summary>Bytes of a chunk's scales.</summary>
    /// <param name="first">First block of the chunk in its row.</param>
    /// <param name="count">Blocks of the chunk.</param>
    public abstract int ScaleBytes(int first, int count);

    /// <summary>Decodes a chunk's scales: weight = code · scale + offset.</summary>
    /// <param name="area">The chunk's scales.</param>
    /// <param name="first">First block of the chunk in its row.</param>
    /// <param name="count">Blocks of the chunk.</param>
    /// <param name="scales">Receives <c>[count · groups, 16]</c>.</param>
    /// <param name="offsets">Likewise.</param>
    public abstract void DecodeScales(byte* area, int first, int count, float* scales, float* offsets);

    /// <summary>Bytes of a panel.</summary>
    /// <param name="blocks">Blocks of a row.</param>
    public nint PanelBytes(int blocks)
    {
        var bytes = (nint)blocks * CodePlanes.BlockBytes(Bits);
        for (var first = 0; first < blocks; first += ChunkBlocks) bytes += ScaleBytes(first, Math.Min(ChunkBlocks, blocks - first));
        return bytes;
    }
}
