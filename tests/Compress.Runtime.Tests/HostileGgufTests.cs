using System.Text;
using Compress.Formats;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Formats.Gguf;
using Compress.Runtime.Model;
using Compress.Testing;

namespace Compress.Runtime.Tests;

/// <summary>Damaged files end in a message that names the file, without a large allocation.</summary>
public sealed class HostileGgufTests : IDisposable
{
    /// <summary>The sound file has 0.7 MB.</summary>
    private const long MostAllocated = 32 << 20;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Changed_bytes_of_the_header_are_read_or_refused()
    {
        var sound = File.ReadAllBytes(Sound());
        var header = IndexOf(sound, "token_embd.weight"u8);
        var random = new Random(11);
        var refused = 0;
        for (var i = 0; i < 1500; i++)
        {
            var bytes = (byte[])sound.Clone();
            for (var n = random.Next(1, 4); n > 0; n--)
            {
                // Half of the changes hit the keys, half the list of tensors; some put in what a size must not be.
                var at = random.Next(2) == 0 ? random.Next(1200) : header - 64 + random.Next(1600);
                if (random.Next(3) > 0) bytes[at] = (byte)random.Next(256);
                else BitConverter.TryWriteBytes(bytes.AsSpan(at), random.Next(2) == 0 ? ulong.MaxValue : 1UL << random.Next(20, 63));
            }
            if (!Opens(bytes, $"mutation {i}")) refused++;
        }
        // Most changes of names and sizes must be noticed, or the test would only show that nothing is looked at.
        Assert.InRange(refused, 500, 1499);
    }

    [Fact]
    public void Every_cut_is_refused()
    {
        var sound = File.ReadAllBytes(Sound());
        foreach (var length in Enumerable.Range(1, 60).Select(i => sound.Length * i / 61))
            Assert.False(Opens(sound[..length], $"cut to {length} bytes"));
    }

    [Theory]
    [InlineData("llama.block_count", 4_000_000_000u)]
    [InlineData("llama.embedding_length", 0u)]
    [InlineData("llama.attention.head_count", 3u)]
    [InlineData("llama.feed_forward_length", 1u << 30)]
    public void Numbers_that_fit_no_tensor_are_refused_by_name(string key, uint value)
    {
        var bytes = File.ReadAllBytes(Sound());
        var at = IndexOf(bytes, Encoding.ASCII.GetBytes(key)) + key.Length + 4;
        BitConverter.TryWriteBytes(bytes.AsSpan(at), value);
        var file = Path.Combine(folder.Path, "bad.gguf");
        File.WriteAllBytes(file, bytes);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains("bad.gguf", Assert.ThrowsAny<CompressException>(() => RuntimeModel.Open(file, threads: 1)).Message, StringComparison.Ordinal);
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < MostAllocated);
    }

    private bool Opens(byte[] bytes, string which)
    {
        var file = Path.Combine(folder.Path, "changed.gguf");
        File.WriteAllBytes(file, bytes);
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            using var model = RuntimeModel.Open(file, threads: 1);
            model.LoadTokenizer();
            return true;
        }
        catch (CompressException)
        {
            return false;
        }
        catch (Exception e) when (e is not Xunit.Sdk.XunitException)
        {
            throw new Xunit.Sdk.XunitException($"{which}: {e}");
        }
        finally
        {
            Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < MostAllocated, $"{which}: {GC.GetAllocatedBytesForCurrentThread() - before} bytes allocated");
        }
    }

    private static int IndexOf(byte[] bytes, ReadOnlySpan<byte> text) => bytes.AsSpan().IndexOf(text);

    private string Sound()
    {
        using var embedded = ModelFolder.Open(Path.Combine(SharedData.Repository, "models", "embedded"));
        var (target, file) = (Path.Combine(folder.Path, "model"), Path.Combine(folder.Path, "sound.gguf"));
        var config = SyntheticModel.Llama(64, 96, 2, 4, 2, embedded.Spec.VocabularySize);
        SyntheticCheckpoint.Write(target, config, ElementType.F32, seed: 3, embedded);
        using var model = ModelFolder.Open(target);
        GgufExport.Write(model, file, GgufMixture.Find("q8_0")!);
        return file;
    }
}
