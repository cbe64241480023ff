using System.Runtime.InteropServices;
using System.Text.Json;
using Compress.Runtime.Model;
using Compress.Testing;

namespace Compress.Runtime.Tests;

/// <summary>Logits of an independent float64 forward and of llama.cpp over tiny models in every storage type (golden/gguf/SOURCE.md).</summary>
public class GoldenModelTests
{
    public static TheoryData<string> Models => SharedData.Root is { } root
        ? [.. Directory.EnumerateFiles(Path.Combine(root, "golden", "gguf"), "*.gguf").Select(f => Path.GetFileNameWithoutExtension(f)).Order()]
        : ["absent"];

    [SharedDataTheory]
    [MemberData(nameof(Models))]
    public void Logits_equal_the_double_precision_reference(string name)
    {
        var tokens = Tokens(name);
        var expected = MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(SharedData.At("golden", "gguf", name + ".ref64.f32"))).ToArray();
        foreach (var batch in new[] { tokens.Length, 1 })
        {
            using var model = RuntimeModel.Open(SharedData.At("golden", "gguf", name + ".gguf"), new RuntimeOptions { Threads = 2, Activations = ActivationPrecision.Full });
            using var session = model.NewSession(tokens.Length, batch);
            var actual = new float[expected.Length];
            session.ForwardAll(tokens, actual);
            var worst = expected.Zip(actual, (e, a) => Math.Abs(e - a)).Max();
            Assert.True(worst < 1e-4 * Math.Max(1, expected.Max(Math.Abs)), $"batch {batch}: worst difference {worst}");
        }
    }

    private static int[] Tokens(string name)
    {
        using var readme = JsonDocument.Parse(File.ReadAllText(SharedData.At("golden", "gguf", "README.json")));
        return FindTokens(readme.RootElement, name) ?? throw new InvalidOperationException($"README.json has no tokens for {name}");
    }

    private static int[]? FindTokens(JsonElement root, string name)
    {
        var entry = root.GetProperty("models").GetProperty(name);
        return [.. entry.GetProperty("tokens").EnumerateArray().Select(t => t.GetInt32())];
    }
}
