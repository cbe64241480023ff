using Compress.Core.Methods;
using Compress.Core.Pipeline;
using Compress.Core.Recipes;
using Compress.Core.Runs;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using TorchSharp;

namespace Compress.Core.Planning;

/// <summary>How long a run will take on this machine as busy as it is now, from samples that take a second or two.</summary>
/// <param name="Stages">Seconds of each stage.</param>
/// <param name="Evaluation">Seconds of all perplexities and speeds.</param>
/// <param name="Export">Seconds of all exports with their checks.</param>
public sealed record RunEstimate(IReadOnlyList<double> Stages, double Evaluation, double Export)
{
    /// <summary>A part's share of what is not arithmetic: collecting garbage, waiting for the disk, the journal.</summary>
    private const double SecondsOfPart = 0.25;

    /// <summary>Compiling code and starting threads, once.</summary>
    private const double SecondsOfStart = 1;

    /// <summary>Bytes of an English token, where a text has not been read yet.</summary>
    private const double BytesOfToken = 3.5;

    /// <summary>Bytes a second of reading, decoding, checking and writing a checkpoint.</summary>
    private const double ExportRate = 100e6;

    /// <summary>Passes through a block that a trial at each of its places takes: attention's output and the MLP's are made twice.</summary>
    private const double TrialShare = 1.35;

    /// <summary>Seconds of the whole run.</summary>
    public double Seconds => SecondsOfStart + Stages.Sum() + Evaluation + Export;

    /// <summary>Measures samples and adds them up.</summary>
    /// <param name="recipe">A recipe that fits its model.</param>
    /// <param name="model">The model; only headers are read.</param>
    public static RunEstimate Measure(Recipe recipe, ModelFolder model)
    {
        var device = RunEnvironment.Device(recipe);
        var times = new SampleTimes(device);
        var bytes = (double)model.Tensors.Tensors.Values.Sum(t => t.ByteCount);
        return new RunEstimate(
            [.. recipe.Stages.Select(s => Stage(recipe, s, model.Spec, times, device))],
            recipe.Evaluate.Sum(e => Evaluate(e, model.Spec, times)),
            recipe.Export.Count * bytes / ExportRate);
    }

    private static double Stage(Recipe recipe, StageRecipe stage, ModelSpec model, SampleTimes times, torch.Device device)
    {
        var method = stage.Method.Create(stage.Options);
        if (method is ITrainingMethod training) return Training(training, model, times);
        if (method is not ILinearMethod linear) return Whole(recipe, method, model, times, device);
        var sites = SiteSelection.Select(model, stage);
        var seconds = sites.GroupBy(s => (s.Shape.OutFeatures, s.Shape.InFeatures))
            .Sum(g => g.Count() * times.Site((ILinearMethod)stage.Method.Create(stage.Options), g.First().Shape, stage.KeepSparsity));
        seconds += SecondsOfPart * sites.Select(s => s.Block).Distinct().Count();
        if (!method.Calibrated || recipe.Calibration is not { } calibration) return seconds;
        var length = calibration.Length ?? Math.Min(model.MaxPositions, 2048);
        var type = RunEnvironment.Precision(recipe, device);
        var passes = sites.GroupBy(s => s.Block).Max(g => linear.TrueSequential ? 4 : 1);
        foreach (var alike in Blocks(model))
        {
            var (advance, observe) = times.TokenThroughBlock(alike.First(), model.HiddenSize, calibration.BatchSize, length, type, method.Needs);
            seconds += alike.Count() * (double)calibration.Samples * length * (passes * observe + advance);
            if (method is not IScalingMethod scaling) continue;
            seconds += alike.Count() * TrialShare * scaling.Trials * Math.Min(scaling.SearchWindows, calibration.Samples) * length * advance;
        }
        return seconds;
    }

    /// <summary>A stage over the whole model: one pass to choose, one to compensate. Searches over candidates take longer.</summary>
    private static double Whole(Recipe recipe, IMethod method, ModelSpec model, SampleTimes times, torch.Device device)
    {
        var seconds = 2 * SecondsOfPart * model.Blocks.Length;
        if (!method.Calibrated || recipe.Calibration is not { } calibration) return seconds;
        var length = calibration.Length ?? Math.Min(model.MaxPositions, 2048);
        var type = RunEnvironment.Precision(recipe, device);
        return seconds + 2 * Blocks(model).Sum(alike =>
        {
            var (advance, observe) = times.TokenThroughBlock(alike.First(), model.HiddenSize, calibration.BatchSize, length, type, method.Needs);
            return alike.Count() * (double)calibration.Samples * length * (observe + advance);
        });
    }

    /// <summary>
    /// Each token passes the teacher once and the student forward and backward, which is three times as much; the head likewise.
    /// </summary>
    private static double Training(ITrainingMethod method, ModelSpec model, SampleTimes times)
    {
        const int Passes = 4, Windows = 8, Length = 512;
        var length = Math.Min(model.MaxPositions, Length);
        var blocks = Blocks(model).Sum(alike => alike.Count()
            * times.TokenThroughBlock(alike.First(), model.HiddenSize, Windows, length, method.Arithmetic, null).Plain);
        return method.Tokens(model) * Passes * (blocks + times.TokenThroughHead(model));
    }

    private static double Evaluate(EvaluationRecipe entry, ModelSpec model, SampleTimes times)
    {
        if (entry is not PerplexityRecipe perplexity) return 0;
        var window = perplexity.Window ?? Math.Min(model.MaxPositions, 2048);
        var tokens = Math.Ceiling(new FileInfo(perplexity.Data) is { Exists: true } file ? file.Length / BytesOfToken : 0);
        if (perplexity.MaxWindows is { } most) tokens = Math.Min(tokens, (double)most * window);
        var blocks = Blocks(model).Sum(alike => alike.Count()
            * times.TokenThroughBlock(alike.First(), model.HiddenSize, Math.Max(1, 2048 / window), window, torch.ScalarType.Float32, null).Plain);
        // The original goes the same way as the result.
        return 2 * tokens * (blocks + times.TokenThroughHead(model));
    }

    /// <summary>Blocks of one shape together.</summary>
    private static IEnumerable<IEnumerable<BlockSpec>> Blocks(ModelSpec model) => model.Blocks
        .GroupBy(b => (b.Attention?.Heads, b.Attention?.KeyValueHeads, b.Mlp?.Up.OutFeatures));
}
