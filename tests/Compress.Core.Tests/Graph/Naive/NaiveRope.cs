using System.Text.Json.Nodes;

namespace Compress.Core.Tests.Graph.Naive;

/// <summary>Rotary frequencies as the published scaling rules define them.</summary>
internal static class NaiveRope
{
    public static double[] Frequencies(NaiveCheckpoint model, int dimensions)
    {
        var parameters = model.Config["rope_parameters"] as JsonObject ?? model.Config["rope_scaling"] as JsonObject;
        var theta = (double?)parameters?["rope_theta"] ?? (double?)model.Config["rope_theta"] ?? 10000;
        var plain = NaiveMath.Frequencies(theta, dimensions);
        return (string?)parameters?["rope_type"] switch
        {
            "linear" => [.. plain.Select(f => f / (double)parameters!["factor"]!)],
            "llama3" => [.. plain.Select(f => Llama3(f, parameters!))],
            _ => plain,
        };
    }

    // The rule of Llama 3.1's reference code (apply_scaling).
    private static double Llama3(double frequency, JsonObject p)
    {
        var (scale, low, high) = ((double)p["factor"]!, (double)p["low_freq_factor"]!, (double)p["high_freq_factor"]!);
        var old = (double)p["original_max_position_embeddings"]!;
        var wavelength = 2 * Math.PI / frequency;
        if (wavelength < old / high) return frequency;
        if (wavelength > old / low) return frequency / scale;
        var smooth = (old / wavelength - low) / (high - low);
        return (1 - smooth) * frequency / scale + smooth * frequency;
    }
}
