using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>Where a graph's parts take their first values from: a checkpoint or a random start.</summary>
internal interface IWeightReader
{
    /// <summary>A stored vector or table.</summary>
    Parameter Tensor(string name, long[] shape, InitialValue initial);

    /// <summary>A linear's weight.</summary>
    Parameter Weight(LinearSpec spec, SiteRole role);

    /// <summary>A linear's bias.</summary>
    Parameter Bias(LinearSpec spec, WeightPart bias);
}

/// <summary>What a vector or table holds in a random start.</summary>
internal enum InitialValue
{
    /// <summary>Zeros: biases, and norm scales that are stored less one.</summary>
    Zero,

    /// <summary>Ones: norm scales.</summary>
    One,

    /// <summary>Normal values: embeddings.</summary>
    Normal,
}

/// <summary>Reads from a checkpoint.</summary>
internal sealed class CheckpointReader(ITensorSource source, torch.ScalarType type, torch.Device device) : IWeightReader
{
    public Parameter Tensor(string name, long[] shape, InitialValue initial) =>
        new(name, Checked(name, TensorBridge.Load(source.Open(name), type, device), shape));

    public Parameter Weight(LinearSpec spec, SiteRole role) => new(
        spec.Weight.Rows is null ? spec.Weight.Tensor : spec.Name + ".weight",
        TensorBridge.Load(source, spec.Weight, spec.OutFeatures, spec.InFeatures, type, device));

    public Parameter Bias(LinearSpec spec, WeightPart bias) => new(
        bias.Rows is null ? bias.Tensor : spec.Name + ".bias",
        TensorBridge.Load(source, bias, spec.OutFeatures, null, type, device));

    private static torch.Tensor Checked(string name, torch.Tensor value, long[] shape) => value.shape.AsSpan().SequenceEqual(shape)
        ? value
        : throw new InvalidOperationException($"{name} is [{string.Join(", ", value.shape)}], not [{string.Join(", ", shape)}]");
}
