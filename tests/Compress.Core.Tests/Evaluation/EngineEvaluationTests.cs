using System.Text.Json;
using Compress.Core.Evaluation;
using Compress.Core.Tests.Graph;
using Compress.Core.Tests.Graph.Naive;
using Compress.Core.Tests.Runs;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Runtime.Model;

namespace Compress.Core.Tests.Evaluation;

public sealed class EngineEvaluationTests : IDisposable
{
    private const int Window = 24;

    // More tokens than a vector has lanes, and not a multiple of them.
    private static readonly SyntheticModel Model =
        SyntheticModel.Llama(hidden: 16, mlp: 24, layers: 2, heads: 4, keyValueHeads: 2, vocabulary: 53, maxPositions: 32);

    private static readonly int[] Ids = [.. Enumerable.Range(0, 75).Select(i => (i * i * 7 + i * 3 + 2) % 53)];

    private readonly TemporaryFolder folder = new();
    private readonly MemoryTensors original = MemoryTensors.Random(Model.Spec, 1);
    private readonly MemoryTensors model = MemoryTensors.Random(Model.Spec, 1);

    public EngineEvaluationTests()
    {
        foreach (var (name, values) in model.Values.Where(p => p.Key.Contains("proj", StringComparison.Ordinal)).ToList())
            model.Add(name, model.Tensors[name].Shape, [.. values.Select(v => MathF.Round(v * 4) / 4)]);
    }

    public void Dispose()
    {
        original.Dispose();
        model.Dispose();
        folder.Dispose();
    }

    [Theory]
    [InlineData("gptq", 0)]
    [InlineData("llama_cpp", 12)]
    public async Task Numbers_equal_a_naive_calculation_in_double(string protocol, int firstPosition)
    {
        var naive = new NaiveEvaluation();
        var checkpoint = new NaiveCheckpoint(Model.Config, model.Values);
        var originalCheckpoint = new NaiveCheckpoint(Model.Config, original.Values);
        for (var start = 0; start + Window <= Ids.Length; start += Window)
        {
            var ids = Ids[start..(start + Window)];
            naive.Add(NaiveLlama.Logits(checkpoint, ids), NaiveLlama.Logits(originalCheckpoint, ids), ids, firstPosition, Window - 2);
        }
        using var tested = Open("model", model);
        using var reference = Open("original", original);
        var result = await Evaluate(tested, reference, protocol);
        Assert.Equal((3, naive.Tokens, "runtime"), (result.Windows, result.Tokens, result.Engine));
        Close(naive.Perplexity, result.Perplexity);
        Close(naive.KlMean, result.KlMean!.Value);
        Close(naive.KlMax, result.KlMax!.Value);
        Assert.Equal(naive.Agreement, result.Top1Agreement!.Value, 12);
        Assert.True(naive.KlMean > 0.01, "the models are too close to tell anything");
        var alone = await Evaluate(tested, null, protocol);
        Assert.Equal(result.Perplexity, alone.Perplexity);
        Assert.Null(alone.KlMean);
    }

    [Fact]
    public async Task A_window_beyond_the_context_is_refused()
    {
        using var tested = Open("model", model);
        await Assert.ThrowsAsync<EvaluationException>(() => Evaluate(tested, null, "gptq", window: 33));
    }

    [Fact]
    public void Logits_that_are_not_numbers_do_not_pass_for_good_ones()
    {
        Assert.True(double.IsNaN(LogitRow.Of([1, float.NaN, 2]).LogSumExp));
        Assert.False(double.IsFinite(LogitRow.Of([1, float.PositiveInfinity, 2]).LogSumExp));
    }

    private static Task<EvaluationResult> Evaluate(RuntimeModel tested, RuntimeModel? reference, string protocol, int window = Window) =>
        Evaluator.EvaluateAsync(tested, reference, new TokenizedText(Ids, "numbers", "0"), EvaluationProtocol.Find(protocol),
            new EvaluationOptions { Window = window });

    private RuntimeModel Open(string name, MemoryTensors tensors)
    {
        var config = JsonSerializer.SerializeToElement(Model.Config);
        using (var writer = HuggingFaceFolderWriter.Create(folder.At(name), config, [.. tensors.Tensors.Values]))
        {
            foreach (var tensor in tensors.Tensors.Keys) writer.Write(tensor, tensors.Open(tensor));
            writer.Complete();
        }
        return RuntimeModel.Open(folder.At(name), threads: 2);
    }

    private static void Close(double expected, double actual) => Assert.Equal(1, actual / expected, 4);
}
