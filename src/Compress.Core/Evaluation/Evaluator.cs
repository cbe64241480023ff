using Compress.Core.Progress;
using Compress.Formats.Architectures;
using Compress.Runtime.Model;
using TorchSharp;

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
        var windows = Cut(model.Spec, reference?.Spec, tokens, protocol, options);
        return Task.Run(() =>
        {
            progress?.Report(new PhaseStarted($"evaluate ({protocol.Name})", ScoringPass.Steps(model, reference, windows), "block passes"));
            var scores = new ScoringPass(model, reference, windows, options, progress).Run(cancellation);
            var precision = options.Precision == torch.ScalarType.BFloat16 ? "bf16" : "f32";
            var engine = "torch/" + (options.Device ?? torch.CPU).type.ToString().ToLowerInvariant();
            return Finished(EvaluationSummary.Of(scores, tokens, windows, protocol, precision, engine), progress);
        }, cancellation);
    }

    /// <summary>Evaluates a model through the engine in C#, which multiplies with the weights as they are stored.</summary>
    /// <param name="model">The model under test.</param>
    /// <param name="reference">The original, for divergence and agreement, or null. Not the same instance.</param>
    /// <param name="tokens">The text, read by the same protocol with the models' tokenizer.</param>
    /// <param name="protocol">The protocol.</param>
    /// <param name="options">Window and number of windows; the other members are for torch. Null for defaults.</param>
    /// <param name="progress">Receives one phase.</param>
    /// <param name="cancellation">Stops between passes.</param>
    /// <exception cref="EvaluationException">Window, text or tokenizer do not fit the model, or its logits are not finite.</exception>
    public static Task<EvaluationResult> EvaluateAsync(
        RuntimeModel model,
        RuntimeModel? reference,
        TokenizedText tokens,
        EvaluationProtocol protocol,
        EvaluationOptions? options = null,
        IProgress<RunEvent>? progress = null,
        CancellationToken cancellation = default)
    {
        var windows = Cut(model.Spec, reference?.Spec, tokens, protocol, options ?? new EvaluationOptions());
        return Task.Run(() =>
        {
            progress?.Report(new PhaseStarted($"evaluate ({protocol.Name})", windows.Sum(w => (long)w.Ids.Length), "tokens"));
            var scores = EngineScoring.Run(model, reference, windows, progress, cancellation);
            return Finished(EvaluationSummary.Of(scores, tokens, windows, protocol, model.QuantizesActivations ? "8-bit activations" : "f32", "runtime"), progress);
        }, cancellation);
    }

    private static EvaluationResult Finished(EvaluationResult result, IProgress<RunEvent>? progress)
    {
        progress?.Report(new PhaseEnded(EvaluationSummary.Line(result)));
        return result;
    }

    private static IReadOnlyList<ScoredWindow> Cut(
        ModelSpec model, ModelSpec? reference, TokenizedText tokens, EvaluationProtocol protocol, EvaluationOptions options)
    {
        var window = options.Window ?? protocol.DefaultWindow(model.MaxPositions);
        CheckFits(model, "model", window, tokens);
        if (reference is not null) CheckFits(reference, "original", window, tokens);
        if (reference is not null && model.VocabularySize != reference.VocabularySize)
        {
            throw new EvaluationException($"The model's vocabulary has {model.VocabularySize} tokens and the original's "
                + $"{reference.VocabularySize}: divergence needs models of one vocabulary.");
        }
        return protocol.Cut(tokens, window, options.MaxWindows);
    }

    private static void CheckFits(ModelSpec model, string name, int window, TokenizedText tokens)
    {
        if (window > model.MaxPositions)
        {
            throw new EvaluationException($"A window of {window} tokens exceeds the {name}'s context of {model.MaxPositions}: "
                + $"choose a window of at most {model.MaxPositions}.");
        }
        var largest = 0;
        foreach (var id in tokens.Ids.Span) largest = Math.Max(largest, id);
        if (largest >= model.VocabularySize)
        {
            throw new EvaluationException($"{tokens.Dataset} has token {largest}, but the {name} has {model.VocabularySize} tokens: "
                + "the tokenizer does not belong to the model.");
        }
    }
}
