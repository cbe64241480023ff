namespace Compress.Formats.Checkpoints;

/// <summary>Sizes and safetensors names of <see cref="ElementType"/>.</summary>
public static class ElementTypes
{
    static readonly (ElementType Type, string Name, int Bits)[] All =
    [
        (ElementType.Bool, "BOOL", 8),
        (ElementType.U8, "U8", 8),
        (ElementType.I8, "I8", 8),
        (ElementType.F4, "F4", 4),
        (ElementType.F6E2M3, "F6_E2M3", 6),
        (ElementType.F6E3M2, "F6_E3M2", 6),
        (ElementType.F8E5M2, "F8_E5M2", 8),
        (ElementType.F8E4M3, "F8_E4M3", 8),
        (ElementType.F8E4M3Fnuz, "F8_E4M3FNUZ", 8),
        (ElementType.F8E5M2Fnuz, "F8_E5M2FNUZ", 8),
        (ElementType.F8E8M0, "F8_E8M0", 8),
        (ElementType.I16, "I16", 16),
        (ElementType.U16, "U16", 16),
        (ElementType.F16, "F16", 16),
        (ElementType.BF16, "BF16", 16),
        (ElementType.I32, "I32", 32),
        (ElementType.U32, "U32", 32),
        (ElementType.F32, "F32", 32),
        (ElementType.C64, "C64", 64),
        (ElementType.F64, "F64", 64),
        (ElementType.I64, "I64", 64),
        (ElementType.U64, "U64", 64),
    ];

    static readonly Dictionary<string, ElementType> ByName = All.ToDictionary(e => e.Name, e => e.Type, StringComparer.Ordinal);
    static readonly Dictionary<ElementType, (string Name, int Bits)> ByType = All.ToDictionary(e => e.Type, e => (e.Name, e.Bits));

    /// <summary>Bits of one element: 4 to 64. Elements below a byte are packed without gaps.</summary>
    public static int Bits(this ElementType type) => ByType[type].Bits;

    /// <summary>The name that a safetensors header uses, e.g. <c>BF16</c>.</summary>
    public static string SafetensorsName(this ElementType type) => ByType[type].Name;

    /// <summary>Reads a safetensors dtype name; names are case-sensitive.</summary>
    /// <param name="name">The name, e.g. <c>F8_E4M3</c>.</param>
    /// <param name="type">The element type where the name is known.</param>
    /// <returns>False for an unknown name.</returns>
    public static bool TryParse(string name, out ElementType type) => ByName.TryGetValue(name, out type);

    /// <summary>Bytes that <paramref name="shape"/> takes in <paramref name="type"/>.</summary>
    /// <exception cref="ArgumentException">A size is negative, or the elements do not fill whole bytes.</exception>
    /// <exception cref="OverflowException">The tensor has more than 2^63 − 1 bits.</exception>
    public static long ByteCount(this ElementType type, params ReadOnlySpan<long> shape)
    {
        var bits = (long)type.Bits();
        foreach (var size in shape)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(size, nameof(shape));
            bits = checked(bits * size);
        }
        return bits % 8 == 0 ? bits / 8 : throw new ArgumentException(
            $"{type} elements of this shape do not fill whole bytes", nameof(shape));
    }
}
