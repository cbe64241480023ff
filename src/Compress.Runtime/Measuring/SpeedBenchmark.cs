using System.Diagnostics;
using Compress.Formats.Architectures;
using Compress.Runtime.Model;

namespace Compress.Runtime.Measuring;

/// <summary>
/// Times a prompt and the generation of single tokens, as <c>llama-bench</c> does: random tokens, the prompt into an empty context, and
/// generation from an empty context too, so that both numbers can be compared with that program's <c>pp</c> and <c>tg</c>.
/// </summary>
public static class SpeedBenchmark
{
    private static readonly TimeSpan LeastWarmUp = TimeSpan.FromSeconds(1);

    /// <summary>Opens a model and times it.</summary>
    /// <param name="path">Whatever <see cref="RuntimeModel.Open(string, RuntimeOptions)"/> takes.</param>
    /// <param name="run">Threads and precision.</param>
    /// <param name="options">What to time.</param>
    /// <param name="progress">Takes the number of finished repetitions.</param>
    /// <param name="cancellation">Checked before each token.</param>
    /// <exception cref="Formats.ModelFileException">The model is malformed or not one that the engine runs.</exception>
    /// <exception cref="ArgumentException">The model's context is shorter than what is to be timed, or a number is not positive.</exception>
    public static SpeedResult Run(
        string path, RuntimeOptions run, SpeedOptions options, IProgress<int>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(options.Prompt);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(options.Generate);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(options.Repetitions);
        var start = Stopwatch.GetTimestamp();
        using var model = RuntimeModel.Open(path, run);
        var loaded = Stopwatch.GetElapsedTime(start).TotalSeconds;
        var context = Math.Max(options.Prompt, options.Generate);
        if (context > model.Spec.MaxPositions)
            throw new ArgumentException($"{context} tokens exceed the model's context of {model.Spec.MaxPositions}.", nameof(options));
        using var session = model.NewSession(context);
        var random = new Random(0);
        int[] tokens = [.. Enumerable.Range(0, context).Select(_ => random.Next(model.Spec.VocabularySize))];
        WarmUp(session, tokens, options.Prompt, cancellation);
        var (prompts, generations) = (new List<double>(), new List<double>());
        for (var i = 0; i < options.Repetitions; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            prompts.Add(Prompt(session, tokens.AsSpan(0, options.Prompt)));
            generations.Add(Generate(session, tokens.AsSpan(0, options.Generate), cancellation));
            progress?.Report(i + 1);
        }
        return Result(model, options, loaded, Spread.Of(prompts), Spread.Of(generations));
    }

    /// <summary>Multiplications and additions of one token in the linears of all blocks.</summary>
    public static double Operations(ModelSpec spec) => 2.0 * spec.Blocks.Sum(b => Linears(b).Sum(l => (double)l.InFeatures * l.OutFeatures));

    private static IEnumerable<LinearSpec> Linears(BlockSpec block)
    {
        LinearSpec?[] all =
        [
            block.Attention?.Query, block.Attention?.Key, block.Attention?.Value, block.Attention?.Output,
            block.Mlp?.Gate, block.Mlp?.Up, block.Mlp?.Down,
        ];
        return all.OfType<LinearSpec>();
    }

    /// <summary>The first passes map the weights, and the runtime compiles the code again as it sees what is hot: they are not counted.</summary>
    private static void WarmUp(Session session, int[] tokens, int prompt, CancellationToken cancellation)
    {
        const int Generated = 8;
        var start = Stopwatch.GetTimestamp();
        do
        {
            _ = Prompt(session, tokens.AsSpan(0, prompt));
            _ = Generate(session, tokens.AsSpan(0, Math.Min(Generated, tokens.Length)), cancellation);
        }
        while (Stopwatch.GetElapsedTime(start) < LeastWarmUp);
    }

    /// <summary>Seconds from a prompt to its first token.</summary>
    private static double Prompt(Session session, ReadOnlySpan<int> tokens)
    {
        session.Rewind(0);
        var start = Stopwatch.GetTimestamp();
        _ = Likeliest(session.Forward(tokens));
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>Seconds of generating tokens, the choice of each included.</summary>
    private static double Generate(Session session, ReadOnlySpan<int> tokens, CancellationToken cancellation)
    {
        session.Rewind(0);
        var start = Stopwatch.GetTimestamp();
        for (var i = 0; i < tokens.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            _ = Likeliest(session.Forward(tokens.Slice(i, 1)));
        }
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static int Likeliest(ReadOnlySpan<float> logits)
    {
        var best = 0;
        for (var i = 1; i < logits.Length; i++)
        {
            if (logits[i] > logits[best]) best = i;
        }
        return best;
    }

    private static SpeedResult Result(RuntimeModel model, SpeedOptions options, double loaded, Spread prompt, Spread generation) => new()
    {
        PromptTokens = options.Prompt,
        GenerateTokens = options.Generate,
        Repetitions = options.Repetitions,
        Threads = model.Threads,
        Encodings = model.Encodings,
        Activations = model.QuantizesActivations ? "8 bits" : "f32",
        PromptTokensPerSecond = options.Prompt / prompt.Median,
        PromptTokensPerSecondLowest = options.Prompt / prompt.Highest,
        PromptTokensPerSecondHighest = options.Prompt / prompt.Lowest,
        GenerateTokensPerSecond = options.Generate / generation.Median,
        GenerateTokensPerSecondLowest = options.Generate / generation.Highest,
        GenerateTokensPerSecondHighest = options.Generate / generation.Lowest,
        TimeToFirstToken = prompt.Median,
        LoadSeconds = loaded,
        WeightBytes = model.WeightBytes,
        PromptOperationsPerToken = Operations(model.Spec),
        PeakRssBytes = ProcessMemory.Peak,
    };
}
