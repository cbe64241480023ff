using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;

namespace Compress.Core.Evaluation;

/// <summary>A model to evaluate: its weights, read block by block, and its description. Borrowed.</summary>
/// <param name="Tensors">The open checkpoint.</param>
/// <param name="Spec">What the checkpoint holds.</param>
public sealed record EvaluatedModel(ITensorSource Tensors, ModelSpec Spec);
