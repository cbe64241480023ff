using Compress.Formats.Architectures;
using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>A random start for training, as GPT-2's: normal with deviation 0.02, residual outputs smaller by √(2 · blocks).</summary>
/// <remarks>Radford et al. 2019, section 2.3. Each tensor draws from its own generator, seeded by its name, in any order.</remarks>
internal sealed class RandomReader(int seed, int blocks, torch.ScalarType type, torch.Device device) : IWeightReader
{
    private const double Deviation = 0.02;

    public Parameter Table(string name, long rows, long columns) => new(name, Normal(name, [rows, columns], Deviation));

    // Stored scales may be less one.
    public Parameter NormWeight(NormSpec spec, long size) => new(spec.Weight!, torch.full([size], 1 - spec.WeightOffset, type, device));

    public Parameter NormBias(NormSpec spec, long size) => new(spec.Bias!, torch.zeros([size], type, device));

    public Parameter Weight(LinearSpec spec, SiteRole role)
    {
        var name = ParameterNames.Weight(spec);
        var intoResidual = role is SiteRole.Output or SiteRole.Down;
        return new(name, Normal(name, [spec.OutFeatures, spec.InFeatures], intoResidual ? Deviation / Math.Sqrt(2.0 * blocks) : Deviation));
    }

    public Parameter Bias(LinearSpec spec) => new(ParameterNames.Bias(spec), torch.zeros([spec.OutFeatures], type, device));

    private torch.Tensor Normal(string name, long[] shape, double deviation)
    {
        using var generator = new torch.Generator(SeedOf(name));
        // Drawn on the CPU, so that a seed gives the same weights on every device.
        using var drawn = torch.empty(shape, type).normal_(0, deviation, generator);
        return drawn.to(device, copy: true);
    }

    /// <summary>FNV-1a over the seed and the name: stable across runs and versions, unlike <see cref="object.GetHashCode"/>.</summary>
    private ulong SeedOf(string name)
    {
        var hash = 14695981039346656037UL;
        foreach (var b in BitConverter.GetBytes(seed)) hash = (hash ^ b) * 1099511628211UL;
        foreach (var c in name) hash = (hash ^ c) * 1099511628211UL;
        return hash & long.MaxValue;
    }
}
