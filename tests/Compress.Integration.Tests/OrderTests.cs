using Compress.Core.Evaluation;
using Compress.Testing;

namespace Compress.Integration.Tests;

/// <summary>What the papers claim, on trained models: methods that look at inputs lose less than those that do not.</summary>
public sealed class OrderTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [SharedDataTheory]
    [InlineData("stories260K", 3)]
    [InlineData("stories260K", 4)]
    [InlineData("babyllama", 3)]
    [InlineData("babyllama", 4)]
    public async Task Original_is_better_than_gptq_and_gptq_than_rtn(string name, int bits)
    {
        var model = TestModel.Open(name, folder);
        var gptq = await Measure(model, $"- quantize: {{ method: gptq, bits: {bits}, group_size: 64 }}");
        var rtn = await Measure(model, $"- quantize: {{ method: rtn, bits: {bits}, group_size: 64 }}");
        Assert.True(gptq.ReferencePerplexity < gptq.Perplexity, $"original {gptq.ReferencePerplexity}, gptq {gptq.Perplexity}");
        Assert.True(gptq.Perplexity < rtn.Perplexity, $"gptq {gptq.Perplexity}, rtn {rtn.Perplexity}");
        Assert.True(gptq.KlMean < rtn.KlMean, $"divergence: gptq {gptq.KlMean}, rtn {rtn.KlMean}");
    }

    [SharedDataTheory]
    [InlineData("stories260K", "sparsity: 0.5")]
    [InlineData("stories260K", "pattern: \"2:4\"")]
    [InlineData("babyllama", "sparsity: 0.5")]
    [InlineData("babyllama", "pattern: \"2:4\"")]
    public async Task Wanda_is_better_than_magnitude(string name, string options)
    {
        var model = TestModel.Open(name, folder);
        var wanda = await Measure(model, $"- prune: {{ method: wanda, {options} }}");
        var magnitude = await Measure(model, $"- prune: {{ method: magnitude, {options} }}");
        Assert.True(wanda.ReferencePerplexity < wanda.Perplexity, $"original {wanda.ReferencePerplexity}, wanda {wanda.Perplexity}");
        Assert.True(wanda.Perplexity < magnitude.Perplexity, $"wanda {wanda.Perplexity}, magnitude {magnitude.Perplexity}");
        Assert.True(wanda.KlMean < magnitude.KlMean, $"divergence: wanda {wanda.KlMean}, magnitude {magnitude.KlMean}");
    }

    private async Task<EvaluationResult> Measure(TestModel model, string stage)
    {
        var result = await Runner.Run(folder, Runner.Recipe(model, stage), Guid.NewGuid().ToString("N"));
        return Assert.Single(result.Evaluations);
    }
}
