using System.Globalization;
using Compress.Core.Methods;
using Compress.Core.Numerics;
using TorchSharp;

namespace Compress.Quant.Grids;

/// <summary>A copy of a weight in which what is no number is zero.</summary>
internal static class FiniteWeight
{
    /// <summary>Copies.</summary>
    /// <param name="tensor">Borrowed weight <c>[out, in]</c>, f32.</param>
    /// <param name="log">Takes how many weights are not finite.</param>
    public static HostMatrix Of(torch.Tensor tensor, SiteLog log)
    {
        using var source = HostMatrix.Of(tensor);
        var copy = HostMatrix.Empty(source.Rows, source.Columns);
        var bad = 0L;
        for (var r = 0; r < source.Rows; r++)
        {
            Span<float> from = source.Row(r), to = copy.Row(r);
            for (var c = 0; c < from.Length; c++)
            {
                if (!float.IsFinite(from[c])) bad++;
                to[c] = float.IsFinite(from[c]) ? from[c] : 0;
            }
        }
        if (bad > 0) log.Notes.Add(string.Create(CultureInfo.InvariantCulture, $"{bad} weights are not finite and were taken as zero."));
        return copy;
    }
}
