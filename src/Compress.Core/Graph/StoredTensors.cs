using Compress.Formats.Architectures;
using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>Puts sites back into the tensors in which a checkpoint stores them.</summary>
internal static class StoredTensors
{
    /// <summary>Norms and sites as stored tensors.</summary>
    /// <param name="norms">Norms, stored as they are.</param>
    /// <param name="sites">Linear sites.</param>
    /// <param name="tied">Whether the sites' weights are stored elsewhere.</param>
    public static IEnumerable<(string Name, torch.Tensor Value)> Of(
        IEnumerable<Norm> norms, IReadOnlyList<LinearSite> sites, bool tied = false)
    {
        foreach (var parameter in norms.SelectMany(n => n.Parameters)) yield return (parameter.Name, parameter.Value);
        var parts = sites.SelectMany(site => tied ? [] : new[] { (Part: site.Spec.Weight, Value: site.Weight) })
            .Concat(sites.Where(s => s.Bias is not null).Select(s => (Part: s.Spec.Bias!, Value: s.Bias!)));
        foreach (var stored in parts.GroupBy(p => p.Part.Tensor)) yield return (stored.Key, Join([.. stored]));
    }

    private static torch.Tensor Join((WeightPart Part, torch.Tensor Value)[] parts)
    {
        var (first, value) = parts[0];
        if (first.Rows is null) return first.Transposed ? value.detach().t().contiguous() : value;
        using var scope = torch.NewDisposeScope();
        using var _ = torch.no_grad();
        var shape = value.shape;
        shape[0] = parts.Sum(p => p.Value.shape[0]);
        var whole = torch.empty(shape, value.dtype, value.device);
        foreach (var (part, rows) in parts) whole.index_copy_(0, TensorBridge.RowIndices(part.Rows!).to(value.device), rows.detach());
        return (first.Transposed ? whole.t().contiguous() : whole).MoveToOuterDisposeScope();
    }
}
