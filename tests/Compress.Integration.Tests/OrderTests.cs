using Compress.Core.Evaluation;
using Compress.Testing;

namespace Compress.Integration.Tests;

/// <summary>What the papers claim, on trained models: methods that look at inputs lose less than those that do not.</summary>
/// <remarks>
/// One scale a row, as in GPTQ's main tables: with groups of 64 the perplexities of 4-bit models are too close to the original's to be
/// told apart on 12,000 tokens (their divergences are not).
/// </remarks>
public sealed class OrderTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(3)]
    [InlineData(4)]
    public Task On_the_embedded_model_gptq_is_better_than_rtn(int bits) => GptqIsBetterThanRtn(TestModel.Embedded, bits);

    [SharedDataTheory]
    [InlineData("stories260K", 3)]
    [InlineData("stories260K", 4)]
    [InlineData("babyllama", 3)]
    [InlineData("babyllama", 4)]
    public Task Gptq_is_better_than_rtn(string name, int bits) => GptqIsBetterThanRtn(TestModel.Open(name, folder), bits);

    [Theory]
    [InlineData("sparsity: 0.5")]
    [InlineData("pattern: \"2:4\"")]
    public Task On_the_embedded_model_wanda_is_better_than_magnitude(string options) => WandaIsBetterThanMagnitude(TestModel.Embedded, options);

    /// <remarks>
    /// babyllama at 50 % unstructured is left out: both methods ruin it alike (perplexity 1.7 becomes 6.6 ± 0.1 with either, over three
    /// calibration draws and 300 stories), so that the order there is chance.
    /// </remarks>
    [SharedDataTheory]
    [InlineData("stories260K", "sparsity: 0.5")]
    [InlineData("stories260K", "pattern: \"2:4\"")]
    [InlineData("babyllama", "sparsity: 0.4")]
    [InlineData("babyllama", "pattern: \"2:4\"")]
    public Task Wanda_is_better_than_magnitude(string name, string options) => WandaIsBetterThanMagnitude(TestModel.Open(name, folder), options);

    private async Task GptqIsBetterThanRtn(TestModel model, int bits)
    {
        var gptq = await Measure(model, $"- quantize: {{ method: gptq, bits: {bits}, group_size: -1 }}");
        var rtn = await Measure(model, $"- quantize: {{ method: rtn, bits: {bits}, group_size: -1 }}");
        Assert.True(gptq.ReferencePerplexity < gptq.Perplexity, $"original {gptq.ReferencePerplexity}, gptq {gptq.Perplexity}");
        Assert.True(gptq.Perplexity < rtn.Perplexity, $"gptq {gptq.Perplexity}, rtn {rtn.Perplexity}");
        Assert.True(gptq.KlMean < rtn.KlMean, $"divergence: gptq {gptq.KlMean}, rtn {rtn.KlMean}");
    }

    private async Task WandaIsBetterThanMagnitude(TestModel model, string options)
    {
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
