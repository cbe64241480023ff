using Compress.Core.Progress;
using static TorchSharp.torch;

namespace Compress.Core.Evaluation;

/// <summary>Takes windows through one or two models in rounds and scores their tokens.</summary>
internal sealed class ScoringPass(
    EvaluatedModel model,
    EvaluatedModel? reference,
    IReadOnlyList<ScoredWindow> windows,
    EvaluationOptions options,
    IProgress<RunEvent>? progress)
{
    /// <summary>Most bytes of one model's f32 logits at a time.</summary>
    private const long LogitBytes = 16L << 20;

    private readonly Device device = options.Device ?? CPU;
    private readonly LogitScores scores = new();
    private long steps;

    /// <summary>Steps of progress: windows times blocks, over the models.</summary>
    public static long Steps(EvaluatedModel model, EvaluatedModel? reference, IReadOnlyList<ScoredWindow> windows) =>
        (long)windows.Count * (model.Spec.Blocks.Length + (reference?.Spec.Blocks.Length ?? 0));

    /// <summary>Scores every window.</summary>
    public LogitScores Run(CancellationToken cancellation)
    {
        using var noGradient = no_grad();
        for (var first = 0; first < windows.Count;)
        {
            var round = Round(first);
            ScoreRound(round, cancellation);
            first += round.Count;
        }
        return scores;
    }

    /// <summary>As many windows from the given one on as the budget for hidden states holds, at least one.</summary>
    private List<ScoredWindow> Round(int first)
    {
        var bytesPerToken = sizeof(float) * (model.Spec.HiddenSize + (reference?.Spec.HiddenSize ?? 0L));
        var left = options.HiddenStateBytes;
        var round = new List<ScoredWindow>();
        for (var i = first; i < windows.Count; i++)
        {
            left -= windows[i].Ids.Length * bytesPerToken;
            if (left < 0 && round.Count > 0) break;
            round.Add(windows[i]);
        }
        return round;
    }

    private void ScoreRound(List<ScoredWindow> round, CancellationToken cancellation)
    {
        int[] targets = [.. round.SelectMany(w => w.Ids[w.FirstTarget..].ToArray())];
        using var tested = Compute(model, round, targets, cancellation);
        using var original = reference is null ? null : Compute(reference, round, targets, cancellation);
        var slice = ModelRound.SliceSize(model.Spec, options.HeadBytes);
        if (reference is not null) slice = Math.Max(slice, ModelRound.SliceSize(reference.Spec, options.HeadBytes));
        for (var token = 0; token < model.Spec.VocabularySize; token += slice)
        {
            var count = Math.Min(slice, model.Spec.VocabularySize - token);
            tested.LoadSlice(token, count);
            original?.LoadSlice(token, count);
            ScoreSlice(round, token, (int)Math.Max(1, LogitBytes / sizeof(float) / count), tested, original, cancellation);
        }
        scores.Add(targets.Length, tested.Sums, original?.Sums);
    }

    private ModelRound Compute(EvaluatedModel of, List<ScoredWindow> round, int[] targets, CancellationToken cancellation)
    {
        var states = HiddenStates.Compute(of, round, options.Precision, device, Advance, cancellation);
        return new ModelRound(of, states, new SoftmaxSums(targets), options.Precision, device);
    }

    private static void ScoreSlice(
        List<ScoredWindow> round, int token, int positions, ModelRound tested, ModelRound? original, CancellationToken cancellation)
    {
        var first = 0;
        for (var i = 0; i < round.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            for (var at = 0; at < round[i].Targets; at += positions)
            {
                using var scope = NewDisposeScope();
                var count = Math.Min(positions, round[i].Targets - at);
                // A token is predicted from the hidden state of the position before it.
                var position = round[i].FirstTarget - 1 + at;
                var logits = tested.Logits(i, position, count);
                tested.Sums.Add(first + at, token, logits, other: null);
                original?.Sums.Add(first + at, token, original.Logits(i, position, count), logits);
            }
            first += round[i].Targets;
        }
    }

    private void Advance(int count)
    {
        steps += count;
        progress?.Report(new PhaseAdvanced(steps));
    }
}
