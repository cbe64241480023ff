using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Compress.Core.Calibration;

/// <summary>Derives the seeds of a run's parts from the recipe's one seed, so that no part's randomness depends on another's.</summary>
public static class Seeds
{
    /// <summary>A seed for one purpose: the first 31 bits of SHA-256 over the recipe's seed and the purpose's parts.</summary>
    /// <param name="seed">The recipe's seed.</param>
    /// <param name="purpose">What the seed is for, e.g. <c>stage 2</c>, <c>model.layers.3.mlp.down_proj</c>.</param>
    public static int Derive(int seed, params ReadOnlySpan<string> purpose)
    {
        var text = new StringBuilder(seed.ToString(CultureInfo.InvariantCulture));
        foreach (var part in purpose) text.Append('\0').Append(part);
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString()));
        return BinaryPrimitives.ReadInt32BigEndian(hash) & int.MaxValue;
    }
}
