using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>Where a graph's parts take their first values from: a checkpoint, a random start, or a larger graph.</summary>
internal interface IWeightReader
{
    /// <summary>An embedding table <c>[rows, columns]</c>.</summary>
    Parameter Table(string name, long rows, long columns);

    /// <summary>A norm's scale, which <paramref name="spec"/> names.</summary>
    Parameter NormWeight(NormSpec spec, long size);

    /// <summary>A norm's shift, which <paramref name="spec"/> names.</summary>
    Parameter NormBias(NormSpec spec, long size);

    /// <summary>A linear's weight.</summary>
    Parameter Weight(LinearSpec spec, SiteRole role);

    /// <summary>A linear's bias, which <paramref name="spec"/> names.</summary>
    Parameter Bias(LinearSpec spec);
}

/// <summary>Names of a linear's parameters: those of the stored tensors, or of the site where it is a part of a fused one.</summary>
internal static class ParameterNames
{
    public static string Weight(LinearSpec spec) => spec.Weight.Rows is null ? spec.Weight.Tensor : spec.Name + ".weight";

    public static string Bias(LinearSpec spec) => spec.Bias!.Rows is null ? spec.Bias.Tensor : spec.Name + ".bias";
}

/// <summary>Reads from a checkpoint.</summary>
internal sealed class CheckpointReader(ITensorSource source, torch.ScalarType type, torch.Device device) : IWeightReader
{
    public Parameter Table(string name, long rows, long columns) => Stored(name, [rows, columns]);

    public Parameter NormWeight(NormSpec spec, long size) => Stored(spec.Weight!, [size]);

    public Parameter NormBias(NormSpec spec, long size) => Stored(spec.Bias!, [size]);

    public Parameter Weight(LinearSpec spec, SiteRole role) => new(
        ParameterNames.Weight(spec), TensorBridge.Load(source, spec.Weight, spec.OutFeatures, spec.InFeatures, type, device));

    public Parameter Bias(LinearSpec spec) => new(
        ParameterNames.Bias(spec), TensorBridge.Load(source, spec.Bias!, spec.OutFeatures, null, type, device));

    private Parameter Stored(string name, long[] shape)
    {
        var value = TensorBridge.Load(source.Open(name), type, device);
        return value.shape.AsSpan().SequenceEqual(shape)
            ? new Parameter(name, value)
            : throw new InvalidOperationException($"{name} is [{string.Join(", ", value.shape)}], not [{string.Join(", ", shape)}]");
    }
}
