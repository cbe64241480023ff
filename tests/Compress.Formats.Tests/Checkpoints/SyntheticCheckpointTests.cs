using System.Runtime.InteropServices;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Testing;

namespace Compress.Formats.Tests.Checkpoints;

public class SyntheticCheckpointTests
{
    private static readonly SyntheticModel Model =
        SyntheticModel.Llama(hidden: 64, mlp: 128, layers: 2, heads: 4, keyValueHeads: 2, vocabulary: 1000, tied: false);

    [Theory]
    [InlineData(ElementType.F32)]
    [InlineData(ElementType.F16)]
    [InlineData(ElementType.BF16)]
    public void A_written_model_opens_with_normal_matrices_and_unit_norms(ElementType type)
    {
        using var folder = new TemporaryFolder();
        SyntheticCheckpoint.Write(folder.At("model"), Model, type, seed: 5);
        using var model = ModelFolder.Open(folder.At("model"));
        Assert.Equal(2, model.Spec.Blocks.Length);
        Assert.All(Values(model, "model.norm.weight"), v => Assert.Equal(1, v));

        var table = Values(model, "model.embed_tokens.weight");
        Assert.Equal(64_000, table.Length);
        Assert.Equal(0, table.Average(), 3e-4);
        var deviation = Math.Sqrt(table.Average(v => v * v));
        Assert.Equal(0.02, deviation, 6e-4);
        // A normal variable stays within one deviation 68.27 % of the time.
        Assert.Equal(0.6827, table.Count(v => Math.Abs(v) < 0.02) / 64_000.0, 0.01);
    }

    [Fact]
    public void The_seed_decides_the_bytes()
    {
        using var folder = new TemporaryFolder();
        foreach (var (name, seed) in new[] { ("a", 1), ("b", 1), ("c", 2) }) SyntheticCheckpoint.Write(folder.At(name), Model, ElementType.F16, seed);
        var bytes = new[] { "a", "b", "c" }.Select(n => File.ReadAllBytes(folder.At(n, "model.safetensors"))).ToList();
        Assert.Equal(bytes[0], bytes[1]);
        Assert.NotEqual(bytes[0], bytes[2]);
    }

    private static double[] Values(ModelFolder model, string name)
    {
        var view = model.Tensors.Open(name);
        var bytes = view.Bytes(0, (int)view.Info.ByteCount);
        return view.Info.Type switch
        {
            ElementType.F32 => [.. MemoryMarshal.Cast<byte, float>(bytes).ToArray().Select(v => (double)v)],
            ElementType.F16 => [.. MemoryMarshal.Cast<byte, Half>(bytes).ToArray().Select(v => (double)v)],
            _ => [.. MemoryMarshal.Cast<byte, ushort>(bytes).ToArray().Select(v => (double)BitConverter.UInt32BitsToSingle((uint)v << 16))],
        };
    }
}
