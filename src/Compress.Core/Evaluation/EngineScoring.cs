using Compress.Core.Numerics;
using Compress.Core.Progress;
using Compress.Runtime.Model;

namespace Compress.Core.Evaluation;

/// <summary>Scores windows with the engine: each goes through the models' sessions in pieces, whose logits are summed up at once.</summary>
internal static class EngineScoring
{
    /// <summary>Most bytes of one model's logits at a time.</summary>
    private const long LogitBytes = 16L << 20;

    /// <summary>Positions in one pass: enough to keep matrix products busy.</summary>
    private const int MostPositions = 256;

    /// <summary>Scores every window.</summary>
    public static LogitScores Run(
        RuntimeModel model, RuntimeModel? reference, IReadOnlyList<ScoredWindow> windows, IProgress<RunEvent>? progress,
        CancellationToken cancellation)
    {
        var (context, vocabulary) = (windows.Max(w => w.Ids.Length), model.Spec.VocabularySize);
        var positions = (int)Math.Clamp(LogitBytes / sizeof(float) / vocabulary, 1, MostPositions);
        using var tested = new Pieces(model, context, positions);
        using var original = reference is null ? null : new Pieces(reference, context, positions);
        var (scores, done) = (new LogitScores(), 0L);
        foreach (var window in windows)
        {
            tested.Begin(window);
            original?.Begin(window);
            for (var target = window.FirstTarget; target < window.Ids.Length; target += positions)
            {
                cancellation.ThrowIfCancellationRequested();
                var count = Math.Min(positions, window.Ids.Length - target);
                tested.Advance(window, target, count);
                original?.Advance(window, target, count);
                Score(scores, window.Ids.Slice(target, count), vocabulary, tested.Logits, original?.Logits);
            }
            progress?.Report(new PhaseAdvanced(done += window.Ids.Length));
        }
        return scores;
    }

    private static void Score(LogitScores scores, ReadOnlyMemory<int> targets, int vocabulary, float[] logits, float[]? original)
    {
        var (rows, originals) = (new LogitRow[targets.Length], new LogitRow[targets.Length]);
        Workers.For(targets.Length, (long)targets.Length * vocabulary, i =>
        {
            var row = logits.AsSpan(i * vocabulary, vocabulary);
            rows[i] = LogitRow.Of(row);
            if (original is not null) originals[i] = LogitRow.Of(original.AsSpan(i * vocabulary, vocabulary), row);
        });
        for (var i = 0; i < targets.Length; i++)
        {
            var at = i * vocabulary + targets.Span[i];
            var nll = rows[i].LogSumExp - logits[at];
            if (original is null) scores.Add(nll);
            else scores.Add(nll, originals[i].LogSumExp - original[at], originals[i].DivergenceTo(rows[i]), originals[i].Likeliest == rows[i].Likeliest);
        }
    }

    /// <summary>One model's way through the windows.</summary>
    private sealed class Pieces(RuntimeModel model, int context, int positions) : IDisposable
    {
        private readonly Session session = model.NewSession(context, positions);

        /// <summary>Logits <c>[positions, vocabulary]</c> of the latest piece.</summary>
        public float[] Logits { get; } = new float[positions * model.Spec.VocabularySize];

        /// <summary>Takes what comes before the first position whose logits are wanted.</summary>
        public void Begin(ScoredWindow window)
        {
            session.Rewind(0);
            if (window.FirstTarget > 1) session.Forward(window.Ids.Span[..(window.FirstTarget - 1)]);
        }

        /// <summary>Computes the logits that predict tokens <paramref name="target"/> and following.</summary>
        public void Advance(ScoredWindow window, int target, int count) =>
            session.ForwardAll(window.Ids.Span.Slice(target - 1, count), Logits);

        public void Dispose() => session.Dispose();
    }
}
