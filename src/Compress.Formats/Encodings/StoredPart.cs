using Compress.Formats.Checkpoints;

namespace Compress.Formats.Encodings;

/// <summary>One tensor of an encoded weight.</summary>
/// <param name="Name">What follows the weight's name.</param>
/// <param name="Type">Element type.</param>
/// <param name="Shape">Shape.</param>
/// <param name="Bytes">Little-endian row-major data.</param>
internal sealed record StoredPart(string Name, ElementType Type, long[] Shape, byte[] Bytes)
{
    /// <summary>A part of floats that are exactly representable in their type.</summary>
    public static StoredPart Floats(string name, ElementType type, float[] values, params long[] shape)
    {
        var bytes = new byte[(long)values.Length * type.Bits() / 8];
        ElementConversion.FromSingle(type, values, bytes);
        return new StoredPart(name, type, shape, bytes);
    }
}
