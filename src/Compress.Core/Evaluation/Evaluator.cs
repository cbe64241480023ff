using Compress.Core.Progress;

namespace Compress.Core.Evaluation;

/// <summary>Measures a model, and its distance to the original it was made from, on the same tokens.</summary>
/// <remarks>
/// Rounds of windows stream through one block at a time (<see cref="HiddenStates"/>); the head is applied slice by slice to a few positions at a
/// time (<see cref="ScoringPass"/>), so logits never fill one window. Peak memory is the largest block or the heads, plus
/// <see cref="EvaluationOptions.HiddenStateBytes"/>, whatever the depth of the model and the length of the text.
/// </remarks>
public static class Evaluator
{
    /// <summary>Evaluates a model.</summary>
    /// <param name="model">The model under test.</param>
    /// <param name="reference">The original, for divergence and agreement, or null. It may be the same instance.</param>
    /// <param name="tokens">The text, read by the same protocol with the models' tokenizer.</param>
    /// <param name="protocol">The protocol.</param>
    /// <param name="options">How to compute; null for defaults.</param>
    /// <param name="progress">Receives one phase.</param>
    /// <param name="cancellation">Stops between passes through a block.</param>
    /// <exception cref="EvaluationException">Window, text or tokenizer do not fit the model, or its logits are not finite.</exception>
    public static Task<EvaluationResult> EvaluateAsync(
        EvaluatedModel model,
        EvaluatedModel? reference,
        TokenizedText tokens,
        EvaluationProtocol protocol,
        EvaluationOptions? options = null,
        IProgress<RunEvent>? progress = null,
        CancellationToken cancellation = default)
    {
        options ??= new EvaluationOptions();
        var window = options.Window ?? protocol.DefaultWindow(model.Spec.MaxPositions);
        CheckFits(model, "model", window, tokens);
        if (reference is not null) CheckFits(reference, "original", window, tokens);
        if (reference is not null && model.Spec.VocabularySize != reference.Spec.VocabularySize)
        {
            throw new EvaluationException($"The model's vocabulary has {model.Spec.VocabularySize} tokens and the original's "
                + $"{reference.Spec.VocabularySize}: divergence needs models of one vocabulary.");
        }
        var windows = protocol.Cut(tokens, window, options.MaxWindows);
        return Task.Run(() =>
        {
            progress?.Report(new PhaseStarted($"evaluate ({protocol.Name})", ScoringPass.Steps(model, reference, windows), "block passes"));
            var scores = new ScoringPass(model, reference, windows, options, progress).Run(cancellation);
            var result = EvaluationSummary.Of(scores, tokens, windows, protocol, options);
            progress?.Report(new PhaseEnded(EvaluationSummary.Line(result)));
            return result;
        }, cancellation);
    }

    private static void CheckFits(EvaluatedModel model, string name, int window, TokenizedText tokens)
    {
        if (window > model.Spec.MaxPositions)
        {
            throw new EvaluationException($"A window of {window} tokens exceeds the {name}'s context of {model.Spec.MaxPositions}: "
                + $"choose a window of at most {model.Spec.MaxPositions}.");
        }
        var largest = 0;
        foreach (var id in tokens.Ids.Span) largest = Math.Max(largest, id);
        if (largest >= model.Spec.VocabularySize)
        {
            throw new EvaluationException($"{tokens.Dataset} has token {largest}, but the {name} has {model.Spec.VocabularySize} tokens: "
                + "the tokenizer does not belong to the model.");
        }
    }
}
