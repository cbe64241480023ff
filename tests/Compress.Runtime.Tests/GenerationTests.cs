using System.Text.Json;
using Compress.Runtime.Generation;
using Compress.Runtime.Model;
using Compress.Testing;

namespace Compress.Runtime.Tests;

public class GenerationTests
{
    /// <summary>The expected ids are llama.cpp's, from the same weights in GGUF; here they come from the llama2.c file and its tokenizer.</summary>
    [SharedDataFact]
    public void Greedy_continuations_equal_those_of_llama_cpp()
    {
        using var readme = JsonDocument.Parse(File.ReadAllText(SharedData.At("golden", "gguf", "README.json")));
        using var model = RuntimeModel.Open(SharedData.At("models", "stories260K", "stories260K.bin"), threads: 2);
        var tokenizer = model.LoadTokenizer();
        foreach (var expected in readme.RootElement.GetProperty("models").GetProperty("stories260K-f32").GetProperty("greedy_llama_cpp").EnumerateArray())
        {
            var ids = tokenizer.Encode(expected.GetProperty("prompt").GetString()!);
            Assert.Equal(Ids(expected.GetProperty("prompt_ids")), ids);
            var wanted = Ids(expected.GetProperty("generated_ids"));
            using var session = model.NewSession(ids.Length + wanted.Length);
            var sampler = new Sampler(new SamplingOptions { Temperature = 0 });
            var generated = new List<int> { sampler.Next(session.Forward(ids)) };
            while (generated.Count < wanted.Length) generated.Add(sampler.Next(session.Forward([generated[^1]])));
            Assert.Equal(wanted, generated);
        }
    }

    [SharedDataFact]
    public async Task Streams_the_text_that_the_tokens_decode_to()
    {
        using var model = RuntimeModel.Open(SharedData.At("models", "stories260K", "stories260K.bin"), threads: 1);
        var pieces = new List<string>();
        await foreach (var piece in TextGenerator.ContinueAsync(model, "Once upon a time", 20, new SamplingOptions { Temperature = 0 })) pieces.Add(piece);
        Assert.True(pieces.Count > 10);
        Assert.StartsWith(", there was a little girl named Lily", string.Concat(pieces), StringComparison.Ordinal);
    }

    [Fact]
    public void Draws_follow_the_distribution()
    {
        var sampler = new Sampler(new SamplingOptions { Temperature = 1, TopK = 0, TopP = 1, Seed = 1 });
        float[] logits = [MathF.Log(0.5f), MathF.Log(0.3f), MathF.Log(0.2f)];
        var counts = new int[3];
        const int Draws = 20000;
        for (var i = 0; i < Draws; i++) counts[sampler.Next(logits)]++;
        double[] expected = [0.5, 0.3, 0.2];
        // Five standard deviations of a binomial share.
        for (var i = 0; i < 3; i++) Assert.InRange((double)counts[i] / Draws, expected[i] - 0.018, expected[i] + 0.018);
    }

    [Fact]
    public void Filters_keep_the_likely_tokens_only()
    {
        float[] logits = [MathF.Log(0.5f), MathF.Log(0.3f), MathF.Log(0.15f), MathF.Log(0.05f)];
        Assert.Equal([0, 1], Drawn(new SamplingOptions { Temperature = 1, TopK = 2, TopP = 1 }));
        Assert.Equal([0, 1], Drawn(new SamplingOptions { Temperature = 1, TopK = 0, TopP = 0.7f }));
        Assert.Equal([0, 1, 2], Drawn(new SamplingOptions { Temperature = 1, TopK = 0, TopP = 1, MinP = 0.25f }));
        Assert.Equal([0], Drawn(new SamplingOptions { Temperature = 0 }));

        int[] Drawn(SamplingOptions options)
        {
            var sampler = new Sampler(options);
            return [.. Enumerable.Range(0, 500).Select(_ => sampler.Next(logits)).Distinct().Order()];
        }
    }

    private static int[] Ids(JsonElement array) => [.. array.EnumerateArray().Select(e => e.GetInt32())];
}
