using Compress.Core.Graph;
using Compress.Core.Statistics;
using TorchSharp;

namespace Compress.Core.Pipeline;

/// <summary>Gathers the statistics that a method needs, one instance for each distinct input: q, k and v share theirs, so do gate and up.</summary>
internal sealed class StatisticsCollector : IInputObserver, IDisposable
{
    private readonly Dictionary<string, List<Statistic>> byInput = new(StringComparer.Ordinal);

    /// <summary>Empty statistics for the inputs of some sites.</summary>
    /// <param name="needs">What to gather.</param>
    /// <param name="sites">The sites that will be compressed.</param>
    /// <param name="device">Where inputs lie.</param>
    public StatisticsCollector(Needs needs, IEnumerable<LinearSite> sites, torch.Device device)
    {
        foreach (var site in sites.DistinctBy(s => s.InputName))
        {
            byInput.Add(site.InputName, [.. needs.Types.Select(type => Make(type, site.Spec.InFeatures, device))]);
        }
    }

    /// <inheritdoc/>
    public void OnInput(string inputName, torch.Tensor x)
    {
        if (!byInput.TryGetValue(inputName, out var statistics)) return;
        using var rows = x.reshape(-1, x.shape[^1]);
        foreach (var statistic in statistics) statistic.Accumulate(rows, (int)x.shape[0]);
    }

    /// <summary>The statistics of an input.</summary>
    public IReadOnlyList<Statistic> Of(string inputName) => byInput[inputName];

    /// <summary>Disposes the statistics of an input that no site needs any more: a Hessian is as large as a weight.</summary>
    public void Forget(string inputName)
    {
        if (!byInput.Remove(inputName, out var statistics)) return;
        foreach (var statistic in statistics) statistic.Dispose();
    }

    public void Dispose()
    {
        foreach (var input in byInput.Keys.ToList()) Forget(input);
    }

    private static Statistic Make(Type type, int features, torch.Device device) =>
        (Statistic)Activator.CreateInstance(type, features, device)!;
}
