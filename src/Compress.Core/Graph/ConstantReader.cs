using Compress.Formats.Architectures;
using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>Weights that are all the same small number: made faster than random ones, and multiplied as fast.</summary>
internal sealed class ConstantReader(torch.ScalarType type, torch.Device device) : IWeightReader
{
    private const double Value = 0.001;

    public Parameter Table(string name, long rows, long columns) => Full(name, rows, columns);

    public Parameter NormWeight(NormSpec spec, long size) => Full(spec.Weight!, size);

    public Parameter NormBias(NormSpec spec, long size) => Full(spec.Bias!, size);

    public Parameter Weight(LinearSpec spec, SiteRole role) => Full(ParameterNames.Weight(spec), spec.OutFeatures, spec.InFeatures);

    public Parameter Bias(LinearSpec spec) => Full(ParameterNames.Bias(spec), spec.OutFeatures);

    private Parameter Full(string name, params long[] shape) => new(name, torch.full(shape, Value, type, device));
}
