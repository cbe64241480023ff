using System.Collections.Immutable;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Architectures;

/// <summary>Where a weight lies in the checkpoint: a whole tensor, its transpose (GPT-2's Conv1D), or rows of a fused one.</summary>
/// <param name="Tensor">The stored tensor's name.</param>
/// <param name="Transposed">True where the checkpoint stores <c>[in, out]</c>.</param>
/// <param name="Rows">Which output rows of the (untransposed) tensor; null for all.</param>
public sealed record WeightPart(string Tensor, bool Transposed = false, RowPattern? Rows = null);

/// <summary>Output rows in equal runs: <c>start + k·stride … start + k·stride + run</c> for k = 0, 1, … until <c>count</c> rows.</summary>
/// <param name="Start">First row.</param>
/// <param name="Count">Rows in all.</param>
/// <param name="Run">Rows of one run.</param>
/// <param name="Stride">Distance between the beginnings of two runs.</param>
/// <remarks>GPT-2's <c>c_attn</c> is three runs of the hidden size; GPT-NeoX's <c>query_key_value</c> alternates by head.</remarks>
public sealed record RowPattern(int Start, int Count, int Run, int Stride);

/// <summary>One linear map <c>y = x Wᵀ + b</c> that methods may touch.</summary>
/// <param name="Name">Stable site name: the stored tensor without <c>.weight</c>; with <c>.q</c>, <c>.k</c> … for parts of one.</param>
/// <param name="Weight">Where <c>W</c>, <c>[out, in]</c>, is stored.</param>
/// <param name="Bias">Where <c>b</c>, <c>[out]</c>, is stored; null without bias.</param>
/// <param name="InFeatures">Columns of <c>W</c>.</param>
/// <param name="OutFeatures">Rows of <c>W</c>.</param>
public sealed record LinearSpec(string Name, WeightPart Weight, WeightPart? Bias, int InFeatures, int OutFeatures);

/// <summary>Kind of normalisation.</summary>
public enum NormKind
{
    /// <summary><c>x / rms(x) · w</c>.</summary>
    Rms,

    /// <summary><c>(x − mean) / std · w + b</c>.</summary>
    Layer,
}

/// <summary>A normalisation over the last dimension.</summary>
/// <param name="Kind">RMS or layer norm.</param>
/// <param name="Weight">Stored scale, or null where the norm has none.</param>
/// <param name="Bias">Stored shift, or null.</param>
/// <param name="Epsilon">Added to the variance.</param>
/// <param name="WeightOffset">Added to the stored scale (1 for Gemma).</param>
public sealed record NormSpec(NormKind Kind, string? Weight, string? Bias, double Epsilon, double WeightOffset = 0);

/// <summary>Rotary position embedding, half-split layout (rotate_half).</summary>
/// <param name="Dimensions">Leading dimensions of each head that are rotated (partial rotary where below the head size).</param>
/// <param name="InverseFrequencies">One frequency per pair, scaling (Llama 3, linear, longrope …) already applied.</param>
/// <param name="AttentionFactor">Multiplies cos and sin (yarn, longrope); 1 otherwise.</param>
public sealed record RotarySpec(int Dimensions, ImmutableArray<double> InverseFrequencies, double AttentionFactor = 1)
{
    /// <summary>Frequencies of sequences beyond <see cref="LongBeyond"/> (longrope); empty where they are the same.</summary>
    public ImmutableArray<double> LongInverseFrequencies { get; init; } = [];

    /// <summary>Longest sequence, in tokens, that uses <see cref="InverseFrequencies"/>; matters only where long ones exist.</summary>
    public int LongBeyond { get; init; } = int.MaxValue;
}

/// <summary>Causal self-attention with grouped key/value heads.</summary>
public sealed record AttentionSpec
{
    /// <summary>Query heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Key/value heads; divides <see cref="Heads"/>.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>Size of one head.</summary>
    public required int HeadSize { get; init; }

    /// <summary>Query projection, <c>[heads · head size, hidden]</c>.</summary>
    public required LinearSpec Query { get; init; }

    /// <summary>Key projection, <c>[kv heads · head size, hidden]</c>.</summary>
    public required LinearSpec Key { get; init; }

    /// <summary>Value projection, <c>[kv heads · head size, hidden]</c>.</summary>
    public required LinearSpec Value { get; init; }

    /// <summary>Output projection, <c>[hidden, heads · head size]</c>.</summary>
    public required LinearSpec Output { get; init; }

    /// <summary>Norm on each query head before rotary (Qwen3), or null.</summary>
    public NormSpec? QueryNorm { get; init; }

    /// <summary>Norm on each key head before rotary, or null.</summary>
    public NormSpec? KeyNorm { get; init; }

    /// <summary>Rotary embedding, or null where positions are learned.</summary>
    public RotarySpec? Rotary { get; init; }

    /// <summary>Multiplies <c>q·k</c>; 1/√head size unless the family says otherwise (GPT-Neo: 1).</summary>
    public required double Scale { get; init; }

    /// <summary>Soft cap on attention scores: <c>c·tanh(s/c)</c> (Gemma 2), or null.</summary>
    public double? SoftCap { get; init; }

    /// <summary>A query sees at most this many last positions, itself included (Mistral, Gemma, GPT-Neo local), or null for all.</summary>
    public int? Window { get; init; }
}

/// <summary>Activation function of the MLP.</summary>
public enum Activation
{
    /// <summary><c>x · sigmoid(x)</c>.</summary>
    Silu,

    /// <summary>GELU with the error function.</summary>
    Gelu,

    /// <summary>GELU's tanh approximation (<c>gelu_new</c>, <c>gelu_pytorch_tanh</c>).</summary>
    GeluTanh,

    /// <summary><c>max(x, 0)</c>.</summary>
    Relu,
}

/// <summary>The block's feed-forward part: <c>down(act(gate x) · up x)</c>, or <c>down(act(up x))</c> without a gate.</summary>
/// <param name="Gate">Gate projection, or null for a plain MLP.</param>
/// <param name="Up">Up projection, <c>[intermediate, hidden]</c>.</param>
/// <param name="Down">Down projection, <c>[hidden, intermediate]</c>.</param>
/// <param name="Activation">Activation function.</param>
public sealed record MlpSpec(LinearSpec? Gate, LinearSpec Up, LinearSpec Down, Activation Activation);

/// <summary>One decoder block. A removed sublayer is null; shapes may differ from block to block.</summary>
public sealed record BlockSpec
{
    /// <summary>Prefix of the block's tensors, e.g. <c>model.layers.3</c>.</summary>
    public required string Prefix { get; init; }

    /// <summary>Attention, or null where it was removed.</summary>
    public AttentionSpec? Attention { get; init; }

    /// <summary>Feed-forward part, or null where it was removed.</summary>
    public MlpSpec? Mlp { get; init; }

    /// <summary>Norm before attention; before the MLP too where the sublayers are parallel and <see cref="MlpNorm"/> is null.</summary>
    public NormSpec? AttentionNorm { get; init; }

    /// <summary>Norm on attention's output before it is added (Gemma 2), or null.</summary>
    public NormSpec? AttentionOutputNorm { get; init; }

    /// <summary>Norm before the MLP.</summary>
    public NormSpec? MlpNorm { get; init; }

    /// <summary>Norm on the MLP's output before it is added (Gemma 2), or null.</summary>
    public NormSpec? MlpOutputNorm { get; init; }

    /// <summary>True: <c>x + attention(norm x) + mlp(norm x)</c> (NeoX, Phi); false: one after the other.</summary>
    public bool ParallelResidual { get; init; }

    /// <summary>True: norms follow the residual sum, <c>norm(x + f(x))</c> (OPT-350m); false: pre-norm.</summary>
    public bool PostNorm { get; init; }
}

/// <summary>Input embedding: tokens, and learned positions where the family has them.</summary>
/// <param name="Tokens">Stored token table, <c>[vocabulary, hidden]</c>.</param>
/// <param name="Positions">Stored position table, or null.</param>
/// <param name="PositionOffset">Added to the position before look-up (OPT: 2).</param>
/// <param name="Scale">Multiplies token embeddings (Gemma: √hidden); 1 otherwise.</param>
public sealed record EmbeddingSpec(string Tokens, string? Positions = null, int PositionOffset = 0, double Scale = 1);

/// <summary>Output head.</summary>
/// <param name="Linear">Site of the head. Where tied, its weight is the token table.</param>
/// <param name="Tied">True where the head shares the token table.</param>
/// <param name="SoftCap">Soft cap on logits (Gemma 2), or null.</param>
public sealed record HeadSpec(LinearSpec Linear, bool Tied, double? SoftCap = null);

/// <summary>A causal language model as one description, which the torch graph, the engine and the exporters share.</summary>
/// <remarks>A structurally pruned model is the same family with other per-block shapes.</remarks>
public sealed record ModelSpec
{
    /// <summary>Hugging Face <c>model_type</c>.</summary>
    public required string Family { get; init; }

    /// <summary>Residual stream width.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Rows of the token table.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Element type that <c>config.json</c> declares (<c>torch_dtype</c> or <c>dtype</c>); null where it names none.</summary>
    public ElementType? DeclaredType { get; init; }

    /// <summary>Longest trained context in tokens.</summary>
    public required int MaxPositions { get; init; }

    /// <summary>Input embedding.</summary>
    public required EmbeddingSpec Embedding { get; init; }

    /// <summary>Decoder blocks in order.</summary>
    public required ImmutableArray<BlockSpec> Blocks { get; init; }

    /// <summary>Norm after the last block, or null.</summary>
    public NormSpec? FinalNorm { get; init; }

    /// <summary>Output head.</summary>
    public required HeadSpec Head { get; init; }
}
