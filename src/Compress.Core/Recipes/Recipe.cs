using System.ComponentModel.DataAnnotations;
using Compress.Core.Evaluation;
using Compress.Core.Methods;
using Compress.Formats.Encodings;

namespace Compress.Core.Recipes;

/// <summary>A validated <c>compress run</c> recipe: every key checked, every default filled in, no weight read yet.</summary>
public sealed record Recipe
{
    /// <summary>Model folder or file; relative paths are relative to the working folder, then to the recipe's folder.</summary>
    public required string Model { get; init; }

    /// <summary>Name of the run; its folder is <c>runs/&lt;name&gt;</c>. Default: the recipe's file name.</summary>
    public string? Name { get; init; }

    /// <summary>Seed of everything random.</summary>
    public int Seed { get; init; }

    /// <summary><c>auto</c>, <c>cpu</c> or <c>cuda</c>.</summary>
    public DeviceChoice Device { get; init; } = DeviceChoice.Auto;

    /// <summary>Where calibration tokens come from. Required by methods that need statistics.</summary>
    public CalibrationRecipe? Calibration { get; init; }

    /// <summary>What is done, in order.</summary>
    public IReadOnlyList<StageRecipe> Stages { get; init; } = [];

    /// <summary>How original and result are measured; without an entry they are not.</summary>
    public IReadOnlyList<EvaluationRecipe> Evaluate { get; init; } = [];

    /// <summary>Checkpoints to write.</summary>
    public IReadOnlyList<ExportRecipe> Export { get; init; } = [];
}

/// <summary>Device choice of a recipe.</summary>
public enum DeviceChoice
{
    /// <summary>CUDA where this build and machine have it, otherwise the CPU.</summary>
    Auto,

    /// <summary>The CPU.</summary>
    Cpu,

    /// <summary>CUDA; an error where it is absent.</summary>
    Cuda,
}

/// <summary>Calibration tokens: windows drawn from a text.</summary>
public sealed record CalibrationRecipe
{
    /// <summary>Text, JSONL or Parquet file.</summary>
    public required string Data { get; init; }

    /// <summary>Number of windows.</summary>
    [Between(1, 1_000_000)]
    public int Samples { get; init; } = 128;

    /// <summary>Tokens of a window; default: the model's context, at most 2048.</summary>
    [Between(1, 1_048_576)]
    public int? Length { get; init; }

    /// <summary>Windows in one forward pass; results do not depend on it beyond rounding.</summary>
    [Between(1, 65536)]
    public int BatchSize { get; init; } = 4;

    /// <summary>Arithmetic of the forward passes: <c>auto</c>, <c>f32</c> or <c>bf16</c>. The residual stream is f32 in any case.</summary>
    public ForwardPrecision Precision { get; init; } = ForwardPrecision.Auto;
}

/// <summary>Arithmetic of calibration's forward passes.</summary>
public enum ForwardPrecision
{
    /// <summary>bf16 where the processor or GPU multiplies it in hardware, otherwise f32.</summary>
    Auto,

    /// <summary>32-bit floats.</summary>
    F32,

    /// <summary>bfloat16 matrix products.</summary>
    Bf16,
}

/// <summary>One stage: a method with its options and the sites it applies to.</summary>
public sealed record StageRecipe
{
    /// <summary>The method's entry in the catalogue.</summary>
    public required MethodInfo Method { get; init; }

    /// <summary>The method's <c>Options</c> record, defaults filled in.</summary>
    public required object Options { get; init; }

    /// <summary>Glob patterns over site names (<c>*.mlp.*</c>); default: every linear of the decoder blocks.</summary>
    public IReadOnlyList<string> Targets { get; init; } = [];

    /// <summary>Glob patterns of sites to leave out.</summary>
    public IReadOnlyList<string> Ignore { get; init; } = [];

    /// <summary>Zeros of earlier stages stay zero.</summary>
    public bool KeepSparsity { get; init; }
}

/// <summary>One measurement of original and result.</summary>
[Variant("perplexity", typeof(PerplexityRecipe))]
[Variant("divergence", typeof(DivergenceRecipe))]
[Variant("speed", typeof(SpeedRecipe))]
public abstract record EvaluationRecipe;

/// <summary>Perplexity and bits per byte on a text.</summary>
public sealed record PerplexityRecipe : EvaluationRecipe
{
    /// <summary>Text, JSONL or Parquet file.</summary>
    public required string Data { get; init; }

    /// <summary>Perplexity protocol by name.</summary>
    public string Protocol { get; init; } = "gptq";

    /// <summary>Tokens of a window; default: the model's context, at most 2048.</summary>
    [Between(2, 1_048_576)]
    public int? Window { get; init; }

    /// <summary>At most this many windows are scored; default: all.</summary>
    [Between(1, 1_000_000)]
    public int? MaxWindows { get; init; }

    /// <summary>
    /// What computes the logits: <c>torch</c>, block by block, or <c>runtime</c>, the engine in C#, which runs the exported checkpoint as its
    /// users will.
    /// </summary>
    public EvaluationEngine Engine { get; init; } = EvaluationEngine.Torch;

    /// <summary>The export that the engine in C# runs, by its <c>to</c>; default: the last one.</summary>
    public string? Export { get; init; }
}

/// <summary>KL divergence and top-1 agreement to the original, over the tokens of every perplexity entry.</summary>
public sealed record DivergenceRecipe : EvaluationRecipe
{
    /// <summary>What the result is compared with: <c>original</c>, the model of the recipe.</summary>
    [AllowedValues("original")]
    public string Against { get; init; } = "original";
}

/// <summary>Tokens per second of original and result, by the engine in C#.</summary>
public sealed record SpeedRecipe : EvaluationRecipe
{
    /// <summary>Tokens of the prompt.</summary>
    [Between(1, 1_048_576)]
    public int Prompt { get; init; } = 512;

    /// <summary>Tokens to generate.</summary>
    [Between(1, 1_048_576)]
    public int Generate { get; init; } = 128;

    /// <summary>How often both are timed; the median counts.</summary>
    [Between(1, 1000)]
    public int Repetitions { get; init; } = 3;

    /// <summary>Threads; default: all cores.</summary>
    [Between(1, 4096)]
    public int? Threads { get; init; }

    /// <summary>The export that is timed, by its <c>to</c>; default: the last one.</summary>
    public string? Export { get; init; }
}

/// <summary>One checkpoint to write.</summary>
public sealed record ExportRecipe
{
    /// <summary>Name of Compress's own format.</summary>
    internal const string OwnFormat = EncodedConfig.Method;

    /// <summary>Name of llama.cpp's format.</summary>
    internal const string GgufFormat = "gguf";

    /// <summary>
    /// Format of the checkpoint: <c>hf</c> (dense), <c>compressed-tensors</c> (integers in groups, read by vLLM and transformers),
    /// <c>gptq</c> and <c>awq</c> (the same, for their loaders), <c>gguf</c> (a file for llama.cpp), or <c>compress</c>, in which every
    /// weight has the smallest encoding that holds it, sparse ones included.
    /// </summary>
    [AllowedValues("hf", "compressed-tensors", "gptq", "awq", GgufFormat, OwnFormat)]
    public required string Format { get; init; }

    /// <summary>
    /// Layout within the format: for compressed-tensors <c>pack-quantized</c> (default), <c>int-quantized</c> (8 bits) or
    /// <c>sparse-24-bitmask</c> (floats of which two of four are zero); <c>gptq</c> (default) or <c>gptq_v2</c> for gptq; for gguf <c>f16</c>, <c>q8_0</c>, <c>q4_k_m</c>
    /// (default) or another of llama.cpp's types. Others have one layout.
    /// </summary>
    public string? Type { get; init; }

    /// <summary>How zeros are stored in the format <c>compress</c>; default: <c>auto</c>.</summary>
    public SparseStorage? Sparse { get; init; }

    /// <summary>Folder to write, relative to the run folder; for gguf a file whose name ends in <c>.gguf</c>.</summary>
    public required string To { get; init; }
}
