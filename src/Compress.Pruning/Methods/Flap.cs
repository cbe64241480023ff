using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Pipeline;
using Compress.Core.Statistics;
using Compress.Formats.Architectures;
using Compress.Pruning.Structured;
using TorchSharp;

namespace Compress.Pruning.Methods;

/// <summary>Removes heads and channels whose contribution fluctuates least around its mean, and puts the mean into a bias.</summary>
/// <remarks>
/// <para>An et al. 2024, "Fluctuation-based Adaptive Structured Pruning for Large Language Models", arXiv:2312.11983, section 3, and the
/// published code. For input j of <c>o_proj</c> and <c>down_proj</c>, with the original model's inputs x and weight W <c>[out, in]</c>: <c>WIFV =
/// Var(x_j)·‖W_:,j‖²</c>, <c>IFV = Var(x_j)</c>, <c>WIFN = mean_i |W_ij|·√E[x_j²]</c>; attention's are squared.</para>
/// <para>Differences to the code, none of which changes the order of scores within a module: the variance is the unbiased one over tokens;
/// <c>E[x²]</c> is over tokens, not sequences. A KV head goes with all its query heads (the code knows one query head a KV head); a group
/// weighs its own number of parameters, not 512/3 cut to a whole number; and a sublayer keeps one head, or <c>channels_multiple_of</c> channels,
/// at the least, where the code may empty it.</para>
/// </remarks>
/// <param name="options">Settings.</param>
[Method("flap", StageKind.Prune,
    Summary = "Removes heads and channels whose contribution fluctuates least, and puts their mean into a bias.",
    Paper = "An et al. 2024, arXiv:2312.11983")]
public sealed class Flap(Flap.Options options) : IStructuredMethod
{
    /// <summary>Settings of <see cref="Flap"/>.</summary>
    public sealed record Options
    {
        /// <summary>Share of the parameters of the blocks' heads and channels to remove.</summary>
        [Between(0, 0.95)]
        public required double Ratio { get; init; }

        /// <summary>What a channel's score is: <c>wifv</c>, <c>ifv</c> or <c>wifn</c>.</summary>
        public FlapMetric Metric { get; init; } = FlapMetric.Wifv;

        /// <summary>Where groups compete: <c>ul_um</c>, <c>ul_mm</c>, <c>al_mm</c> or <c>al_am</c>.</summary>
        public FlapStructure Structure { get; init; } = FlapStructure.AlAm;

        /// <summary>KV heads to remove in all; only for <c>ul_mm</c> and <c>al_mm</c>, which take them from the ratio where it is absent.</summary>
        [Between(0, 1_000_000)]
        public int? RemoveHeads { get; init; }

        /// <summary>Channels that remain are a multiple of this, so that group sizes of a later quantizer fit.</summary>
        [Between(1, 4096)]
        public int ChannelsMultipleOf { get; init; } = 32;

        /// <summary>True: every block keeps the same numbers, which Hugging Face's configuration can say. Needs a structure with uniform layers.</summary>
        public bool KeepUniform { get; init; }

        /// <summary>What makes good the removed inputs: <c>none</c>, <c>bias</c> (as published) or <c>least_squares</c>.</summary>
        public Compensation Compensate { get; init; } = Compensation.Bias;
    }

    /// <inheritdoc/>
    public Needs Needs => Needs.Of<ChannelMoments>();

    /// <inheritdoc/>
    public Compensation Compensation => options.Compensate;

    /// <inheritdoc/>
    public string? Unfit(ModelSpec model)
    {
        var uniform = options.Structure is FlapStructure.UlUm or FlapStructure.UlMm;
        if (options.KeepUniform && !uniform) return "keep_uniform needs the same numbers in all layers: choose structure: ul_um.";
        return options is { RemoveHeads: not null, Structure: FlapStructure.UlUm or FlapStructure.AlAm }
            ? "remove_heads belongs to the structures ul_mm and al_mm: leave it out."
            : null;
    }

    /// <inheritdoc/>
    public IReadOnlyList<CoupledGroup> Choose(ModelStudy study)
    {
        var scores = study.Blocks(Needs).Select(block => Score(study, block)).ToList();
        var kept = new FlapAllocation(study.Model, scores, options).Kept();
        return [.. scores.SelectMany((s, block) => GroupSelection.Removed(block, s, kept[block]))];
    }

    private GroupScores Score(ModelStudy study, StudiedBlock block)
    {
        double[] heads = [], channels = [];
        if (block.Spec.Attention is { } attention && study.IsSelected(CoupledGroup.KeyValueHead(block.Index, 0)))
        {
            var inputs = Channels(block, SiteRole.Output).Select(s => s * s).ToArray();
            heads = PerHead(inputs, attention.KeyValueHeads);
        }
        if (block.Spec.Mlp is not null && study.IsSelected(CoupledGroup.MlpChannel(block.Index, 0)))
        {
            channels = Channels(block, SiteRole.Down);
            if (options.Structure == FlapStructure.AlAm) channels = Standardised(channels);
        }
        return new GroupScores(heads, channels);
    }

    private double[] PerHead(double[] inputs, int heads)
    {
        var adaptive = options.Structure == FlapStructure.AlAm;
        var width = inputs.Length / heads;
        return [.. (adaptive ? Standardised(inputs) : inputs).Chunk(width).Select(h => adaptive ? h.Average() : h.Sum())];
    }

    private double[] Channels(StudiedBlock block, SiteRole role)
    {
        using var scope = torch.NewDisposeScope();
        var moments = block.Input<ChannelMoments>(role);
        var weight = block.Weight(role).to(torch.ScalarType.Float64);
        var score = options.Metric switch
        {
            FlapMetric.Ifv => moments.Variance().cpu(),
            FlapMetric.Wifv => moments.Variance().cpu() * weight.square().sum(dim: 0),
            _ => weight.abs().mean([0L]) * moments.MeanSquare().cpu().sqrt(),
        };
        return score.data<double>().ToArray();
    }

    /// <summary><c>(x − mean) / deviation</c> over a layer's channels; zeros where all are equal.</summary>
    private static double[] Standardised(double[] values)
    {
        var mean = values.Average();
        var deviation = Math.Sqrt(values.Sum(v => (v - mean) * (v - mean)) / Math.Max(1, values.Length - 1));
        return [.. values.Select(v => deviation > 0 ? (v - mean) / deviation : 0)];
    }
}

/// <summary>Score of an input channel.</summary>
public enum FlapMetric
{
    /// <summary>Variance times squared norm of the weight's column.</summary>
    Wifv,

    /// <summary>Variance.</summary>
    Ifv,

    /// <summary>Mean weight magnitude times root mean square.</summary>
    Wifn,
}

/// <summary>Where groups compete with each other.</summary>
public enum FlapStructure
{
    /// <summary>Heads and channels of all layers together, scores standardised in each module.</summary>
    AlAm,

    /// <summary>Heads among the heads of all layers, channels among their channels.</summary>
    AlMm,

    /// <summary>Uniform over layers; heads and channels with shares of their own.</summary>
    UlMm,

    /// <summary>Uniform over layers and modules.</summary>
    UlUm,
}
