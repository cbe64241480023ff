using System.Runtime.InteropServices;
using Compress.Formats.Gguf;
using Compress.Testing;

namespace Compress.Formats.Tests.Gguf;

public class GgmlDecoderTests
{
    /// <summary>Blocks and their decode come from llama.cpp; gguf-py agrees bit for bit (shared data, golden/gguf/SOURCE.md).</summary>
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
    [InlineData("iq4_nl", GgmlType.IQ4_NL)]
    [InlineData("iq4_xs", GgmlType.IQ4_XS)]
    public void Decodes_to_the_very_bits_of_the_reference(string file, GgmlType type)
    {
        var blocks = File.ReadAllBytes(SharedData.At("golden", "gguf", "blocks", file + ".bin"));
        var expected = MemoryMarshal.Cast<byte, int>(File.ReadAllBytes(SharedData.At("golden", "gguf", "blocks", file + ".deq.f32"))).ToArray();
        var actual = new float[expected.Length];
        GgmlDecoder.Decode(type, blocks, actual);
        Assert.Equal(expected, MemoryMarshal.Cast<float, int>(actual).ToArray());
    }

    [Fact]
    public void Refuses_lengths_that_do_not_match() =>
        Assert.Throws<ArgumentException>(() => GgmlDecoder.Decode(GgmlType.Q4_0, new byte[17], new float[32]));
}
