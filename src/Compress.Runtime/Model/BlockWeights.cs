using Compress.Formats;
using Compress.Formats.Architectures;

namespace Compress.Runtime.Model;

/// <summary>A linear map with its bias.</summary>
internal sealed class Linear(WeightMatrix weight, float[]? bias) : IDisposable
{
    public WeightMatrix Weight { get; } = weight;

    public float[]? Bias { get; } = bias;

    /// <summary>The weight as products with 8-bit activations read it; null where activations stay floats.</summary>
    public Kernels.Panels.PackedMatrix? Panels { get; private set; }

    /// <summary>What products read, in words.</summary>
    public string Use => Panels?.Use ?? $"decoded to {Weight.Type}";

    /// <summary>Bytes that one pass over the weight reads.</summary>
    public long StoredBytes => Panels?.Bytes ?? Weight.StoredBytes;

    /// <summary>Makes the weight ready: in panels where activations are quantized and its encoding has them, otherwise as rows.</summary>
    public void Prepare(ActivationPrecision activations, Pages pages, Threading.WorkerPool pool)
    {
        if (activations == ActivationPrecision.Quantized) Panels ??= Weight.Pack(pages, pool);
        if (Panels is null) Weight.Decode();
    }

    public static Linear Load(IWeights source, LinearSpec spec) => new(
        source.Matrix(spec.Weight, spec.OutFeatures, spec.InFeatures),
        spec.Bias is { } bias ? source.Vector(bias, spec.OutFeatures) : null);

    public void Dispose() => Weight.Dispose();
}

/// <summary>A norm's values as the kernels take them.</summary>
internal sealed class Norm(NormKind kind, float[] weight, float[]? bias, float epsilon)
{
    public static Norm? Load(IWeights source, NormSpec? spec, int size)
    {
        if (spec is null) return null;
        var weight = spec.Weight is { } name ? source.Vector(new WeightPart(name), size) : [.. Enumerable.Repeat(1f, size)];
        if (spec.WeightOffset != 0)
        {
            for (var i = 0; i < size; i++) weight[i] += (float)spec.WeightOffset;
        }
        return new Norm(spec.Kind, weight, spec.Bias is { } bias ? source.Vector(new WeightPart(bias), size) : null, (float)spec.Epsilon);
    }

    public unsafe void Apply(float* x, float* to)
    {
        fixed (float* w = weight, b = bias)
        {
            if (kind == NormKind.Rms) Kernels.Elementwise.RmsNorm(x, w, epsilon, weight.Length, to);
            else Kernels.Elementwise.LayerNorm(x, w, b, epsilon, weight.Length, to);
        }
    }
}

/// <summary>One block's weights.</summary>
internal sealed class BlockWeights : IDisposable
{
    public BlockWeights(IWeights source, BlockSpec spec, int hidden)
    {
        Spec = spec;
        if (spec.PostNorm) throw new ModelFileException(spec.Prefix, "normalises after the residual sum, which the engine does not run yet.");
        AttentionNorm = Norm.Load(source, spec.AttentionNorm, hidden);
        AttentionOutputNorm = Norm.Load(source, spec.AttentionOutputNorm, hidden);
        MlpNorm = Norm.Load(source, spec.MlpNorm, hidden);
        MlpOutputNorm = Norm.Load(source, spec.MlpOutputNorm, hidden);
        if (spec.Attention is { } attention)
        {
            QueryKeyValue = [Linear.Load(source, attention.Query), Linear.Load(source, attention.Key), Linear.Load(source, attention.Value)];
            Output = Linear.Load(source, attention.Output);
            QueryNorm = Norm.Load(source, attention.QueryNorm, attention.HeadSize);
            KeyNorm = Norm.Load(source, attention.KeyNorm, attention.HeadSize);
        }
        if (spec.Mlp is { } mlp)
        {
            GateUp = mlp.Gate is { } gate ? [Linear.Load(source, gate), Linear.Load(source, mlp.Up)] : [Linear.Load(source, mlp.Up)];
            Down = Linear.Load(source, mlp.Down);
        }
    }

    public BlockSpec Spec { get; }

    public Norm? AttentionNorm { get; }

    public Norm? AttentionOutputNorm { get; }

    public Norm? MlpNorm { get; }

    public Norm? MlpOutputNorm { get; }

    public Norm? QueryNorm { get; }

    public Norm? KeyNorm { get; }

    /// <summary>Query, key, value: they share an input and run as one piece of work.</summary>
    public Linear[] QueryKeyValue { get; } = [];

    public Linear? Output { get; }

    /// <summary>Gate and up, or up alone.</summary>
    public Linear[] GateUp { get; } = [];

    public Linear? Down { get; }

    /// <summary>All linears of the block.</summary>
    public IEnumerable<Linear> Linears => QueryKeyValue.Append(Output).Concat(GateUp).Append(Down).OfType<Linear>();

    /// <summary>Bytes that decoding one token reads.</summary>
    public long StoredBytes => Linears.Sum(l => l.StoredBytes);

    /// <summary>True where a weight takes activations of 8 bits.</summary>
    public bool QuantizesActivations => Linears.Any(l => l.Panels is not null);

    /// <summary>Makes all weights ready, one behind the other in the order in which they are read.</summary>
    public void Prepare(ActivationPrecision activations, Pages pages, Threading.WorkerPool pool)
    {
        foreach (var linear in Linears) linear.Prepare(activations, pages, pool);
    }

    public void Dispose()
    {
        foreach (var linear in QueryKeyValue.Concat(GateUp)) linear.Dispose();
        Output?.Dispose();
        Down?.Dispose();
    }
}
