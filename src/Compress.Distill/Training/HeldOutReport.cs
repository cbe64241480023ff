using System.Globalization;
using Compress.Core.Evaluation;
using Compress.Core.Progress;
using Compress.Distill.Data;
using Compress.Formats.Checkpoints;

namespace Compress.Distill.Training;

/// <summary>What a trained model has learned, on text that it never saw, beside what counting achieves.</summary>
/// <param name="Model">Perplexity and bits per byte of the exported model.</param>
/// <param name="UnigramLoss">Loss of token frequencies of the corpus, nats a token.</param>
/// <param name="TrigramLoss">Loss of a Kneser-Ney trigram model of the corpus, nats a token.</param>
/// <param name="UnigramBitsPerByte"><paramref name="UnigramLoss"/> in bits per byte of text.</param>
/// <param name="TrigramBitsPerByte"><paramref name="TrigramLoss"/> in bits per byte of text.</param>
public sealed record HeldOutReport(
    EvaluationResult Model, double UnigramLoss, double TrigramLoss, double UnigramBitsPerByte, double TrigramBitsPerByte)
{
    /// <summary>The measurement in one line.</summary>
    public string Summary => string.Create(CultureInfo.InvariantCulture,
        $"held-out {Model.Dataset}: perplexity {Model.Perplexity:F2} ({Model.Protocol}, window {Model.Window}), loss {Model.MeanNll:F3} nats a token "
        + $"(unigram {UnigramLoss:F3}, trigram {TrigramLoss:F3}), {Model.BitsPerByte:F3} bits per byte "
        + $"(unigram {UnigramBitsPerByte:F3}, trigram {TrigramBitsPerByte:F3})");

    /// <summary>Measures the model in a folder.</summary>
    internal static async Task<HeldOutReport> MeasureAsync(
        string folder, HeldOutRecipe recipe, IReadOnlyList<int[]> corpus, IProgress<RunEvent>? progress, CancellationToken cancellation)
    {
        using var model = ModelFolder.Open(folder);
        var tokenizer = model.LoadTokenizer();
        var text = TextDocuments.ReadText(recipe.Data);
        var protocol = EvaluationProtocol.Find("gptq");
        var tokens = protocol.Read([text], tokenizer, recipe.Data);
        var result = await Evaluator.EvaluateAsync(
            new EvaluatedModel(model.Tensors, model.Spec), null, tokens, protocol, null, progress, cancellation).ConfigureAwait(false);

        var trigrams = new TrigramModel(corpus, tokenizer.VocabularySize);
        var (unigram, trigram) = trigrams.Loss(tokens.Ids.Span);
        var tokensPerByte = (double)tokens.Ids.Length / System.Text.Encoding.UTF8.GetByteCount(text);
        return new HeldOutReport(result, unigram, trigram,
            unigram / Math.Log(2) * tokensPerByte, trigram / Math.Log(2) * tokensPerByte);
    }
}
