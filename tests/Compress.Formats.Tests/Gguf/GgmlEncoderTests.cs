using System.Runtime.InteropServices;
using Compress.Formats.Gguf;
using Compress.Testing;

namespace Compress.Formats.Tests.Gguf;

public class GgmlEncoderTests
{
    /// <summary>The expected bytes come from llama.cpp's reference quantizer (shared data, golden/gguf/SOURCE.md).</summary>
    [SharedDataTheory]
    [InlineData("f16", GgmlType.F16)]
    [InlineData("bf16", GgmlType.BF16)]
    [InlineData("q4_0", GgmlType.Q4_0)]
    [InlineData("q4_1", GgmlType.Q4_1)]
    [InlineData("q5_0", GgmlType.Q5_0)]
    [InlineData("q5_1", GgmlType.Q5_1)]
    [InlineData("q8_0", GgmlType.Q8_0)]
    [InlineData("q2_k", GgmlType.Q2_K)]
    [InlineData("q3_k", GgmlType.Q3_K)]
    [InlineData("q4_k", GgmlType.Q4_K)]
    [InlineData("q5_k", GgmlType.Q5_K)]
    [InlineData("q6_k", GgmlType.Q6_K)]
    public void Encodes_to_the_very_bytes_of_the_reference(string file, GgmlType type)
    {
        var input = MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(SharedData.At("golden", "gguf", "blocks", "input.f32"))).ToArray();
        var expected = File.ReadAllBytes(SharedData.At("golden", "gguf", "blocks", file + ".bin"));
        var actual = new byte[expected.Length];
        GgmlEncoder.Encode(type, input, actual);
        var size = type.BlockBytes();
        var wrong = Enumerable.Range(0, expected.Length / size)
            .Where(b => !actual.AsSpan(b * size, size).SequenceEqual(expected.AsSpan(b * size, size))).ToArray();
        Assert.Empty(wrong);
    }
}
