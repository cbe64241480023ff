using System.Diagnostics;
using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Pipeline;
using Compress.Core.Statistics;
using Compress.Formats.Architectures;
using static TorchSharp.torch;

namespace Compress.Core.Planning;

/// <summary>
/// Times of pieces of a run on this machine, taken with made-up weights and inputs of the model's shapes: no weight is read, and each
/// sample is small enough for all of them to take a second or two.
/// </summary>
/// <param name="device">Where the run computes.</param>
internal sealed class SampleTimes(Device device)
{
    /// <summary>Most operations of a forward sample, and most rows and columns of a method sample.</summary>
    private const double MostOperations = 2e10;
    private const int FewestTokens = 64, MostRows = 2048, MostColumns = 1536;

    /// <summary>Seconds for a token of one window length to pass a block.</summary>
    /// <param name="spec">The block.</param>
    /// <param name="hiddenSize">Width of the residual stream.</param>
    /// <param name="windows">Windows in one pass.</param>
    /// <param name="length">Tokens of a window.</param>
    /// <param name="type">Arithmetic.</param>
    /// <param name="needs">Statistics that are gathered on the way; null for none.</param>
    /// <returns>Seconds without and with the statistics.</returns>
    public (double Plain, double Observed) TokenThroughBlock(BlockSpec spec, int hiddenSize, int windows, int length, ScalarType type, Needs? needs)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var block = Block.Constant(spec, hiddenSize, type, device);
        var operations = 2.0 * SiteSelection.Linears(spec).Sum(l => (double)l.Spec.InFeatures * l.Spec.OutFeatures);
        var tokens = (int)Math.Min((double)windows * length, Math.Max(FewestTokens, MostOperations / Math.Max(1, operations)));
        var (batch, time) = tokens >= length ? (tokens / length, length) : (1, tokens);
        var hidden = randn([batch, time, hiddenSize], ScalarType.Float32, device);
        var plain = Seconds(() => block.Forward(hidden).Dispose()) / (batch * time);
        if (needs is null) return (plain, plain);
        using var collector = new StatisticsCollector(needs, block.Sites, device);
        return (plain, Seconds(() => block.Forward(hidden, collector).Dispose()) / (batch * time));
    }

    /// <summary>Seconds that a method takes for a site, and the pipeline for what it does with the result.</summary>
    /// <param name="method">A new instance of the method.</param>
    /// <param name="shape">The site.</param>
    /// <param name="masked">Whether an earlier stage's zeros must stay.</param>
    public double Site(ILinearMethod method, SiteShape shape, bool masked)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var sample = shape with
        {
            OutFeatures = Math.Min(shape.OutFeatures, MostRows),
            InFeatures = Math.Min(shape.InFeatures, MostColumns),
        };
        if (method.Unfit(sample) is not null) sample = shape;
        var weight = randn([sample.OutFeatures, sample.InFeatures], ScalarType.Float32, device);
        var mask = masked ? weight.ne(0) : null;
        var inputs = randn([Math.Min(2 * sample.InFeatures, MostColumns), sample.InFeatures], ScalarType.Float32, device);
        List<Statistic> statistics = [.. method.Needs.Types.Select(t => (Statistic)Activator.CreateInstance(t, sample.InFeatures, device)!)];
        foreach (var statistic in statistics) statistic.Accumulate(inputs, 1);
        var view = new LinearView(shape.Name, shape.Role, weight, mask, 0);
        if (method is ISurveyingMethod surveying)
        {
            while (surveying.BeginSurvey()) surveying.Survey(view);
        }
        var apply = Seconds(() => method.Apply(view, new StatisticsSet(statistics), new SiteLog()).Dispose());
        var scan = Seconds(() => WeightScan.Compare(weight, weight));
        foreach (var statistic in statistics) statistic.Dispose();
        return apply * Work(shape, method) / Work(sample, method) + Scans * scan * Work(shape, null) / Work(sample, null);
    }

    /// <summary>Seconds for the head to score a token.</summary>
    /// <param name="model">The model.</param>
    public double TokenThroughHead(ModelSpec model)
    {
        const int Tokens = 256, Slice = 8192;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var vocabulary = Math.Min(Slice, model.VocabularySize);
        var weight = randn([vocabulary, model.HiddenSize], ScalarType.Float32, device);
        var hidden = randn([Tokens, model.HiddenSize], ScalarType.Float32, device);
        var seconds = Seconds(() =>
        {
            using var inner = NewDisposeScope();
            var logits = hidden.matmul(weight.t());
            (logits - logits.amax([-1], keepdim: true)).exp_().mul_(logits).sum(-1);
        });
        return seconds / Tokens * model.VocabularySize / vocabulary;
    }

    /// <summary>
    /// How often the pipeline passes over a weight beside the method: loading, casting, checking, comparing, writing, hashing, and reading
    /// back at the end of the stage.
    /// </summary>
    private const int Scans = 12;

    /// <summary>How a method's time grows: with the weights; with a Hessian also with their columns, and the factorisation with the cube of these.</summary>
    private static double Work(SiteShape shape, ILinearMethod? method)
    {
        double rows = shape.OutFeatures, columns = shape.InFeatures;
        return method is not null && method.Needs.Types.Contains(typeof(Hessian)) ? rows * columns * columns + columns * columns * columns : rows * columns;
    }

    /// <summary>The best of three tries; the first where it took long enough for the compilation of code not to matter.</summary>
    private static double Seconds(Action action)
    {
        const double Long = 0.15;
        var best = double.PositiveInfinity;
        for (var i = 0; i < 3 && (i == 0 || best < Long); i++)
        {
            var start = Stopwatch.GetTimestamp();
            action();
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        return best;
    }
}
