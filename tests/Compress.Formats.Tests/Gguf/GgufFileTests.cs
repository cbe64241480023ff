using System.Runtime.InteropServices;
using Compress.Formats.Gguf;
using Compress.Testing;

namespace Compress.Formats.Tests.Gguf;

public class GgufFileTests
{
    [SharedDataFact]
    public void Reads_metadata_and_tensors_of_a_converted_model()
    {
        using var file = GgufFile.Open(SharedData.At("golden", "gguf", "stories260K-f32.gguf"));
        Assert.Equal("llama", file.Metadata["general.architecture"]);
        Assert.Equal(5u, file.Metadata["llama.block_count"]);
        Assert.Equal(512, ((string[])file.Metadata["tokenizer.ggml.tokens"]).Length);
        var table = file.Tensors["token_embd.weight"];
        Assert.Equal<long>([512, 64], table.Shape.ToArray());
        // The same floats stand in the llama2.c file, right after its header of seven 32-bit numbers.
        var original = File.ReadAllBytes(SharedData.At("models", "stories260K", "stories260K.bin")).AsSpan(28, (int)table.ByteCount);
        Assert.True(file.Bytes(table, 0, (int)table.ByteCount).SequenceEqual(original));
    }

    [SharedDataFact]
    public void Opens_every_golden_file_and_decodes_every_tensor()
    {
        foreach (var path in Directory.EnumerateFiles(SharedData.At("golden", "gguf"), "*.gguf"))
        {
            using var file = GgufFile.Open(path);
            foreach (var tensor in file.Tensors.Values)
            {
                var weights = new float[tensor.Shape.Aggregate(1L, (a, b) => a * b)];
                GgmlDecoder.Decode(tensor.Type, file.Bytes(tensor, 0, (int)tensor.ByteCount), weights);
                Assert.All(weights, w => Assert.True(float.IsFinite(w)));
            }
        }
    }

    [Fact]
    public void Damaged_files_end_in_a_clear_refusal()
    {
        var valid = Minimal();
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        try
        {
            File.WriteAllBytes(path, valid);
            using (var file = GgufFile.Open(path)) Assert.Single(file.Tensors);
            for (var length = 0; length < valid.Length; length++)
            {
                File.WriteAllBytes(path, valid[..length]);
                Assert.Throws<ModelFileException>(() => GgufFile.Open(path));
            }
            for (var at = 0; at < valid.Length; at++)
            {
                foreach (var flip in new byte[] { 1, 0x80, 0xff })
                {
                    var damaged = valid.ToArray();
                    damaged[at] ^= flip;
                    File.WriteAllBytes(path, damaged);
                    try { GgufFile.Open(path).Dispose(); }
                    catch (ModelFileException) { }
                }
            }
        }
        finally { File.Delete(path); }
    }

    /// <summary>One key, one F32 tensor of 2 × 4.</summary>
    private static byte[] Minimal()
    {
        var stream = new MemoryStream();
        var writer = new BinaryWriter(stream);
        void Text(string s)
        {
            writer.Write((ulong)s.Length);
            writer.Write(System.Text.Encoding.UTF8.GetBytes(s));
        }
        writer.Write(0x46554747u);
        writer.Write(3u);
        writer.Write(1ul);
        writer.Write(1ul);
        Text("general.name");
        writer.Write(8u);
        Text("tiny");
        Text("t");
        writer.Write(2u);
        writer.Write(4ul);
        writer.Write(2ul);
        writer.Write(0u);
        writer.Write(0ul);
        while (stream.Length % 32 != 0) writer.Write((byte)0);
        writer.Write(MemoryMarshal.AsBytes(new float[8].AsSpan()));
        return stream.ToArray();
    }
}
