using Compress.Core.Graph;
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
        using var states = HiddenStates.Compute(model, round, options.Precision, device, Advance, cancellation);
        using var referenceStates = reference is null
            ? null
            : HiddenStates.Compute(reference, round, options.Precision, device, Advance, cancellation);
        using var head = LoadHead(model);
        using var referenceHead = reference is null ? null : LoadHead(reference);
        for (var i = 0; i < round.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            ScoreWindow(round[i], states.Window(i), head, referenceStates?.Window(i), referenceHead);
        }
    }

    private Head LoadHead(EvaluatedModel of)
    {
        using var tensors = new StreamedTensors(of.Tensors);
        return Head.Load(tensors, of.Spec, options.Precision, device);
    }

    private void ScoreWindow(ScoredWindow window, Tensor hidden, Head head, Tensor? referenceHidden, Head? referenceHead)
    {
        using var hiddenOwner = hidden;
        using var referenceOwner = referenceHidden;
        var rows = (int)Math.Max(1, LogitBytes / sizeof(float) / model.Spec.VocabularySize);
        for (var target = window.FirstTarget; target < window.Ids.Length; target += rows)
        {
            using var scope = NewDisposeScope();
            var count = Math.Min(rows, window.Ids.Length - target);
            var targets = tensor(Array.ConvertAll(window.Ids.Slice(target, count).ToArray(), id => (long)id), device: device);
            scores.Add(LogitsOf(hidden, head), referenceHidden is null ? null : LogitsOf(referenceHidden, referenceHead!), targets);

            // The token at a position is predicted from the hidden state of the position before it.
            Tensor LogitsOf(Tensor states, Head head) => head.Forward(states.narrow(0, target - 1, count).unsqueeze(0)).squeeze(0);
        }
    }

    private void Advance(int count)
    {
        steps += count;
        progress?.Report(new PhaseAdvanced(steps));
    }
}
