using Compress.Core.Methods;
using Compress.Core.Recipes;

namespace Compress.Distill.Training;

/// <summary>A <c>compress train</c> recipe: a causal language model trained from random weights.</summary>
public sealed record TrainingRecipe
{
    /// <summary>Name of the run; its folder is <c>runs/&lt;name&gt;</c>. Default: the recipe's file name.</summary>
    public string? Name { get; init; }

    /// <summary>Seed of initial weights and data order.</summary>
    public int Seed { get; init; }

    /// <summary><c>auto</c>, <c>cpu</c> or <c>cuda</c>.</summary>
    public DeviceChoice Device { get; init; } = DeviceChoice.Auto;

    /// <summary>Text that is trained on.</summary>
    public CorpusRecipe Corpus { get; init; } = new();

    /// <summary>Tokenizer that is trained on the corpus before the model.</summary>
    public TokenizerRecipe Tokenizer { get; init; } = new();

    /// <summary>Shape of the model.</summary>
    public ArchitectureRecipe Model { get; init; } = new();

    /// <summary>How the weights are optimised.</summary>
    public OptimizationRecipe Training { get; init; } = new();

    /// <summary>Text that is not trained on, on which the finished model is measured; null measures nothing.</summary>
    public HeldOutRecipe? Evaluate { get; init; }

    /// <summary>Folder of the finished model (Hugging Face layout); relative paths are relative to the working folder.</summary>
    public required string Output { get; init; }
}

/// <summary>Source of training text.</summary>
public sealed record CorpusRecipe
{
    /// <summary>The source that needs no file: reference documentation inside the .NET SDK's targeting packs.</summary>
    public const string ReferenceDocumentation = "dotnet-reference-documentation";

    /// <summary><c>dotnet-reference-documentation</c>, or a UTF-8 text file whose documents are separated by two empty lines.</summary>
    public string Source { get; init; } = ReferenceDocumentation;
}

/// <summary>Measurement of the finished model.</summary>
public sealed record HeldOutRecipe
{
    /// <summary>UTF-8 text file; relative paths are relative to the working folder.</summary>
    public required string Data { get; init; }
}

/// <summary>Byte-level BPE trained on the corpus.</summary>
public sealed record TokenizerRecipe
{
    /// <summary>Tokens in all, the 256 bytes and the special token included.</summary>
    [Between(300, 65536)]
    public int VocabularySize { get; init; } = 4096;
}

/// <summary>Shape of a Llama model with grouped key/value heads and a gated MLP.</summary>
public sealed record ArchitectureRecipe
{
    /// <summary>Width of the residual stream.</summary>
    [Between(16, 65536)]
    public int HiddenSize { get; init; } = 256;

    /// <summary>Channels of the gated MLP.</summary>
    [Between(16, 262144)]
    public int IntermediateSize { get; init; } = 768;

    /// <summary>Decoder blocks.</summary>
    [Between(1, 512)]
    public int Layers { get; init; } = 4;

    /// <summary>Query heads.</summary>
    [Between(1, 1024)]
    public int Heads { get; init; } = 4;

    /// <summary>Key/value heads; divides <see cref="Heads"/>.</summary>
    [Between(1, 1024)]
    public int KeyValueHeads { get; init; } = 2;

    /// <summary>Size of one head; even.</summary>
    [Between(2, 1024)]
    public int HeadSize { get; init; } = 64;

    /// <summary>Longest context in tokens; also the length of a training window.</summary>
    [Between(2, 1_048_576)]
    public int Context { get; init; } = 512;

    /// <summary>Base of the rotary frequencies.</summary>
    [Between(1, 1e9)]
    public double RopeTheta { get; init; } = 10_000;
}

/// <summary>AdamW with a cosine schedule.</summary>
public record OptimizationRecipe
{
    /// <summary>
    /// Optimiser steps. In a recipe of <c>compress train</c> they may be changed to continue a run for longer or to end it sooner; the
    /// schedule follows from there on.
    /// </summary>
    [Between(1, 100_000_000)]
    public int Steps { get; init; } = 1000;

    /// <summary>Windows of one step.</summary>
    [Between(1, 65536)]
    public int BatchSize { get; init; } = 16;

    /// <summary>Windows of one forward and backward pass; divides <see cref="BatchSize"/>. Default: the whole batch.</summary>
    [Between(1, 65536)]
    public int? MicroBatchSize { get; init; }

    /// <summary>Highest learning rate, reached at the end of the warm-up.</summary>
    [Between(0, 10)]
    public double LearningRate { get; init; } = 3e-3;

    /// <summary>Steps of linear warm-up.</summary>
    [Between(0, 1_000_000)]
    public int WarmupSteps { get; init; } = 100;

    /// <summary>Share of the highest learning rate that is left at the last step.</summary>
    [Between(0, 1)]
    public double FinalRateShare { get; init; } = 0.05;

    /// <summary>Decoupled weight decay; norms and the token table are not decayed.</summary>
    [Between(0, 10)]
    public double WeightDecay { get; init; } = 0.1;

    /// <summary>Decay of the first moment.</summary>
    [Between(0, 0.999999)]
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the second moment.</summary>
    [Between(0, 0.999999)]
    public double Beta2 { get; init; } = 0.95;

    /// <summary>Added to the root of the second moment.</summary>
    [Between(0, 1)]
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Largest norm of the whole gradient; 0 turns clipping off.</summary>
    [Between(0, 1e9)]
    public double ClipNorm { get; init; } = 1;

    /// <summary>Number type of matrix products and activations; masters and moments are f32 in any case.</summary>
    public TrainingPrecision Precision { get; init; } = TrainingPrecision.Bf16;

    /// <summary>Steps between two checkpoints.</summary>
    [Between(1, 100_000_000)]
    public int CheckpointEvery { get; init; } = 100;
}

/// <summary>Number type of forward and backward passes.</summary>
public enum TrainingPrecision
{
    /// <summary>bfloat16: about twice as fast where the processor multiplies it.</summary>
    Bf16,

    /// <summary>Single precision.</summary>
    F32,
}
