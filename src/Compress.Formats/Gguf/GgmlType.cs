using System.Collections.Frozen;

namespace Compress.Formats.Gguf;

/// <summary>How a GGUF tensor's elements are stored; values are those of the file format.</summary>
public enum GgmlType
{
    /// <summary>IEEE single.</summary>
    F32 = 0,

    /// <summary>IEEE half.</summary>
    F16 = 1,

    /// <summary>32 weights: scale, 4-bit codes around 8.</summary>
    Q4_0 = 2,

    /// <summary>32 weights: scale, minimum, 4-bit codes.</summary>
    Q4_1 = 3,

    /// <summary>32 weights: scale, 5-bit codes around 16.</summary>
    Q5_0 = 6,

    /// <summary>32 weights: scale, minimum, 5-bit codes.</summary>
    Q5_1 = 7,

    /// <summary>32 weights: scale, 8-bit codes.</summary>
    Q8_0 = 8,

    /// <summary>256 weights in 16 groups: 4-bit scales and minima, 2-bit codes.</summary>
    Q2_K = 10,

    /// <summary>256 weights in 16 groups: 6-bit scales, 3-bit codes.</summary>
    Q3_K = 11,

    /// <summary>256 weights in 8 groups: 6-bit scales and minima, 4-bit codes.</summary>
    Q4_K = 12,

    /// <summary>256 weights in 8 groups: 6-bit scales and minima, 5-bit codes.</summary>
    Q5_K = 13,

    /// <summary>256 weights in 16 groups: 8-bit scales, 6-bit codes.</summary>
    Q6_K = 14,

    /// <summary>32 weights: scale, 4-bit indices into a fixed non-uniform table.</summary>
    IQ4_NL = 20,

    /// <summary>256 weights in 8 groups: 6-bit scales, 4-bit indices into the table of <see cref="IQ4_NL"/>.</summary>
    IQ4_XS = 23,

    /// <summary>bfloat16.</summary>
    BF16 = 30,
}

/// <summary>Block geometry of the storage types.</summary>
public static class GgmlTypes
{
    private static readonly FrozenDictionary<GgmlType, (int Elements, int Bytes)> Blocks = new Dictionary<GgmlType, (int, int)>
    {
        [GgmlType.F32] = (1, 4),
        [GgmlType.F16] = (1, 2),
        [GgmlType.BF16] = (1, 2),
        [GgmlType.Q4_0] = (32, 18),
        [GgmlType.Q4_1] = (32, 20),
        [GgmlType.Q5_0] = (32, 22),
        [GgmlType.Q5_1] = (32, 24),
        [GgmlType.Q8_0] = (32, 34),
        [GgmlType.Q2_K] = (256, 84),
        [GgmlType.Q3_K] = (256, 110),
        [GgmlType.Q4_K] = (256, 144),
        [GgmlType.Q5_K] = (256, 176),
        [GgmlType.Q6_K] = (256, 210),
        [GgmlType.IQ4_NL] = (32, 18),
        [GgmlType.IQ4_XS] = (256, 136),
    }.ToFrozenDictionary();

    /// <summary>True where the type can be read.</summary>
    public static bool IsKnown(GgmlType type) => Blocks.ContainsKey(type);

    /// <summary>Weights of one block.</summary>
    public static int BlockElements(this GgmlType type) => Blocks[type].Elements;

    /// <summary>Bytes of one block.</summary>
    public static int BlockBytes(this GgmlType type) => Blocks[type].Bytes;

    /// <summary>Bytes of a row of <paramref name="elements"/> weights, which is a multiple of the block.</summary>
    /// <exception cref="ArgumentException">The row is not a whole number of blocks.</exception>
    public static long RowBytes(this GgmlType type, long elements)
    {
        var (blockElements, blockBytes) = Blocks[type];
        if (elements % blockElements != 0)
            throw new ArgumentException($"a row of {elements} is not a whole number of {type} blocks of {blockElements}", nameof(elements));
        return checked(elements / blockElements * blockBytes);
    }
}
