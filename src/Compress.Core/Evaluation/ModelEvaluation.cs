using Compress.Core.Progress;
using Compress.Formats.Checkpoints;
using Compress.Formats.Datasets;
using Compress.Runtime.Model;

namespace Compress.Core.Evaluation;

/// <summary>An evaluation by paths: opens models, tokenizer and text, and picks the engine.</summary>
public sealed record ModelEvaluation
{
    /// <summary>The model under test: a folder, a GGUF file, or a llama2.c file.</summary>
    public required string Model { get; init; }

    /// <summary>The original to compare with, or null.</summary>
    public string? Against { get; init; }

    /// <summary>Text, JSONL or Parquet file.</summary>
    public required string Text { get; init; }

    /// <summary>The protocol.</summary>
    public required EvaluationProtocol Protocol { get; init; }

    /// <summary>What computes the logits; null for the default of the model.</summary>
    public EvaluationEngine? Engine { get; init; }

    /// <summary>How the engine in C# runs.</summary>
    public RuntimeOptions Run { get; init; } = new();

    /// <summary>Windows, and how torch computes.</summary>
    public EvaluationOptions Options { get; init; } = new();

    /// <summary>Evaluates.</summary>
    /// <param name="progress">Receives one phase.</param>
    /// <param name="cancellation">Stops between passes.</param>
    /// <exception cref="Formats.ModelFileException">A model, tokenizer or text cannot be read.</exception>
    /// <exception cref="EvaluationException">They do not fit together.</exception>
    public Task<EvaluationResult> RunAsync(IProgress<RunEvent>? progress = null, CancellationToken cancellation = default) =>
        (Engine ?? DefaultEngine.Of(Model)) == EvaluationEngine.Runtime
            ? WithEngineAsync(progress, cancellation)
            : WithTorchAsync(progress, cancellation);

    private async Task<EvaluationResult> WithTorchAsync(IProgress<RunEvent>? progress, CancellationToken cancellation)
    {
        using var model = ModelFolder.Open(Model);
        using var original = Against is null ? null : ModelFolder.Open(Against);
        var reference = original is null ? null : new EvaluatedModel(original.Tensors, original.Spec);
        var tokens = Protocol.Read(TextDataset.Open(Text), model.LoadTokenizer(), Text);
        return await Evaluator.EvaluateAsync(
            new EvaluatedModel(model.Tensors, model.Spec), reference, tokens, Protocol, Options, progress, cancellation).ConfigureAwait(false);
    }

    private async Task<EvaluationResult> WithEngineAsync(IProgress<RunEvent>? progress, CancellationToken cancellation)
    {
        using var model = RuntimeModel.Open(Model, Run);
        using var original = Against is null ? null : RuntimeModel.Open(Against, Run);
        var tokens = Protocol.Read(TextDataset.Open(Text), model.LoadTokenizer(), Text);
        return await Evaluator.EvaluateAsync(model, original, tokens, Protocol, Options, progress, cancellation).ConfigureAwait(false);
    }
}
