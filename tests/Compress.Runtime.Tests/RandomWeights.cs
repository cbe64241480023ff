using Compress.Formats.Gguf;

namespace Compress.Runtime.Tests;

/// <summary>Random encoded weights with their exact decode (Compress.Formats, proven against llama.cpp).</summary>
internal static class RandomWeights
{
    /// <summary>Finite, moderate scales; every code and every packed scale occurs.</summary>
    public static (byte[] Bytes, float[] Decoded) Make(GgmlType type, int rows, int columns)
    {
        var random = new Random((int)type);
        var source = Enumerable.Range(0, rows * columns).Select(_ => (float)(random.NextDouble() - 0.4)).ToArray();
        var bytes = new byte[rows * type.RowBytes(columns)];
        if (type is GgmlType.IQ4_NL or GgmlType.IQ4_XS)
        {
            random.NextBytes(bytes);
            // A scale of 1.5 in every block.
            for (var at = 0; at < bytes.Length; at += type.BlockBytes()) (bytes[at], bytes[at + 1]) = (0, 0x3e);
        }
        else GgmlEncoder.Encode(type, source, bytes);
        var decoded = new float[rows * columns];
        GgmlDecoder.Decode(type, bytes, decoded);
        return (bytes, decoded);
    }
}
