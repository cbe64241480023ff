using Compress.Core.Evaluation;
using Compress.Core.Progress;
using Compress.Core.Tests.Graph;
using Compress.Core.Tests.Graph.Naive;
using Compress.Formats.Architectures;
using TorchSharp;

namespace Compress.Core.Tests.Evaluation;

public sealed class EvaluatorTests : IDisposable
{
    private static readonly SyntheticModel Model =
        SyntheticModel.Llama(hidden: 16, mlp: 24, layers: 2, heads: 4, keyValueHeads: 2, vocabulary: 19, maxPositions: 32);

    private static readonly int[] Ids = [.. Enumerable.Range(0, 75).Select(i => (i * i * 7 + i * 3 + 2) % 19)];

    private readonly MemoryTensors original = MemoryTensors.Random(Model.Spec, 1);
    private readonly MemoryTensors model = MemoryTensors.Random(Model.Spec, 1);

    public EvaluatorTests()
    {
        // A compressed model: weights of the blocks rounded coarsely.
        foreach (var (name, values) in model.Values.Where(p => p.Key.Contains("proj", StringComparison.Ordinal)).ToList())
        {
            model.Add(name, model.Tensors[name].Shape, [.. values.Select(v => MathF.Round(v * 4) / 4)]);
        }
    }

    public void Dispose()
    {
        original.Dispose();
        model.Dispose();
    }

    [Theory]
    [InlineData("gptq", 0)]
    [InlineData("llama_cpp", 12)]
    public async Task Numbers_equal_a_naive_calculation_in_double(string protocol, int firstPosition)
    {
        const int Window = 24;
        var naive = new NaiveEvaluation();
        var checkpoint = new NaiveCheckpoint(Model.Config, model.Values);
        var originalCheckpoint = new NaiveCheckpoint(Model.Config, original.Values);
        for (var start = 0; start + Window <= Ids.Length; start += Window)
        {
            var ids = Ids[start..(start + Window)];
            naive.Add(NaiveLlama.Logits(checkpoint, ids), NaiveLlama.Logits(originalCheckpoint, ids), ids, firstPosition, Window - 2);
        }

        var result = await Evaluate(protocol, new EvaluationOptions { Window = Window });
        Assert.Equal(3, result.Windows);
        Assert.Equal(naive.Tokens, result.Tokens);
        Close(naive.Perplexity, result.Perplexity);
        Close(naive.KlMean, result.KlMean!.Value);
        Close(naive.KlMax, result.KlMax!.Value);
        Close(naive.KlMedian, result.KlMedian!.Value);
        Assert.Equal(naive.Agreement, result.Top1Agreement!.Value, 12);
        Assert.True(naive.KlMean > 0.01, "the models are too close to tell anything");
    }

    [Fact]
    public async Task Rounds_of_one_window_give_the_same_numbers()
    {
        var whole = await Evaluate("gptq", new EvaluationOptions { Window = 24 });
        var rounds = await Evaluate("gptq", new EvaluationOptions { Window = 24, HiddenStateBytes = 1 });
        Close(whole.Perplexity, rounds.Perplexity);
        Close(whole.KlMean!.Value, rounds.KlMean!.Value);
        Assert.Equal(whole.Top1Agreement, rounds.Top1Agreement);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7 * 16 * 4)]
    public async Task Slices_of_the_vocabulary_give_the_same_numbers(long headBytes)
    {
        var whole = await Evaluate("gptq", new EvaluationOptions { Window = 24 });
        var sliced = await Evaluate("gptq", new EvaluationOptions { Window = 24, HeadBytes = headBytes });
        Close(whole.Perplexity, sliced.Perplexity);
        Close(whole.KlMean!.Value, sliced.KlMean!.Value);
        Close(whole.KlP99!.Value, sliced.KlP99!.Value);
        Assert.Equal(whole.Top1Agreement, sliced.Top1Agreement);
    }

    [Fact]
    public async Task The_same_call_gives_the_same_bits() =>
        Assert.Equal(await Evaluate("gptq", new EvaluationOptions { Window = 24 }), await Evaluate("gptq", new EvaluationOptions { Window = 24 }));

    [Fact]
    public async Task Documents_of_any_length_are_scored_as_if_alone()
    {
        var naive = new NaiveEvaluation();
        var checkpoint = new NaiveCheckpoint(Model.Config, model.Values);
        int[] starts = [0, 7, 14, 40];
        foreach (var (start, end) in starts.Zip([7, 14, 40, 75]))
        {
            var ids = Ids[start..Math.Min(end, start + 30)];
            naive.Add(NaiveLlama.Logits(checkpoint, ids), null, ids, 0, ids.Length - 2);
        }
        var text = new TokenizedText(Ids, "documents", "") { DocumentStarts = starts };
        var result = await Evaluator.EvaluateAsync(
            new EvaluatedModel(model, Model.Spec), null, text, EvaluationProtocol.Find("documents"), new EvaluationOptions { Window = 30 });
        Assert.Equal(4, result.Windows);
        Assert.Equal(30, result.Window);
        Assert.Equal(naive.Tokens, result.Tokens);
        Close(naive.Perplexity, result.Perplexity);
    }

    [Fact]
    public async Task Products_in_bf16_change_the_numbers_by_noise_only()
    {
        var exact = await Evaluate("gptq", new EvaluationOptions { Window = 24 });
        var rounded = await Evaluate("gptq", new EvaluationOptions { Window = 24, Precision = torch.ScalarType.BFloat16 });
        Assert.Equal("bf16", rounded.Precision);
        Assert.NotEqual(exact.Perplexity, rounded.Perplexity);
        Assert.InRange(rounded.Perplexity / exact.Perplexity, 0.97, 1.03);
    }

    [Fact]
    public async Task Progress_counts_windows_through_blocks()
    {
        var events = new List<RunEvent>();
        await Evaluate("gptq", new EvaluationOptions { Window = 24 }, new Recorder(events));
        var phase = Assert.IsType<PhaseStarted>(events[0]);
        Assert.Equal(2 * 2 * 3, phase.Total);
        Assert.Equal(phase.Total, events.OfType<PhaseAdvanced>().Last().Done);
        Assert.Contains("gptq", Assert.IsType<PhaseEnded>(events[^1]).Summary, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cancelled_evaluation_stops()
    {
        using var source = new CancellationTokenSource();
        var progress = new Cancelling(source);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Evaluator.EvaluateAsync(
            new EvaluatedModel(model, Model.Spec), null, new TokenizedText(Ids, "text", ""), EvaluationProtocol.Find("gptq"),
            new EvaluationOptions { Window = 24 }, progress, source.Token));
    }

    private Task<EvaluationResult> Evaluate(string protocol, EvaluationOptions options, IProgress<RunEvent>? progress = null) =>
        Evaluator.EvaluateAsync(
            new EvaluatedModel(model, Model.Spec), new EvaluatedModel(original, Model.Spec), new TokenizedText(Ids, "text", ""),
            EvaluationProtocol.Find(protocol), options, progress);

    /// <summary>Five digits: f32 against double.</summary>
    private static void Close(double expected, double actual) => Assert.InRange(actual / expected, 1 - 1e-5, 1 + 1e-5);

    private sealed class Recorder(List<RunEvent> events) : IProgress<RunEvent>
    {
        public void Report(RunEvent value) => events.Add(value);
    }

    private sealed class Cancelling(CancellationTokenSource source) : IProgress<RunEvent>
    {
        public void Report(RunEvent value)
        {
            if (value is PhaseAdvanced) source.Cancel();
        }
    }
}
