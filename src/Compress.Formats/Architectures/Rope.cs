using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;

namespace Compress.Formats.Architectures;

/// <summary>Rotary frequencies: <c>rope_theta</c>, <c>rope_scaling</c> (transformers 4), <c>rope_parameters</c> (transformers 5).</summary>
/// <remarks>
/// RoFormer (Su et al. 2021, arXiv:2104.09864); Llama 3.1's scaling by wavelength; position interpolation (Chen et al. 2023,
/// arXiv:2306.15595) as <c>linear</c>; LongRoPE (Ding et al. 2024, arXiv:2402.13753) as <c>longrope</c>.
/// </remarks>
internal static class Rope
{
    private const string Supported = "default, linear, llama3, longrope";

    /// <summary>The rotary embedding that a configuration asks for.</summary>
    /// <param name="config">Configuration; <c>rope_parameters</c> may be nested by layer kind.</param>
    /// <param name="dimensions">Rotated dimensions of a head (even).</param>
    /// <param name="theta">Base where the configuration names none.</param>
    /// <param name="layerKind">Key inside a nested <c>rope_parameters</c>, such as <c>full_attention</c>, or null.</param>
    public static RotarySpec Read(ConfigReader config, int dimensions, double theta = 10000, string? layerKind = null)
    {
        var scaling = config.Section("rope_parameters");
        if (scaling is not null && layerKind is not null && scaling.Has(layerKind)) scaling = scaling.Section(layerKind);
        scaling ??= config.Section("rope_scaling");
        theta = scaling?.OptionalPositive("rope_theta") ?? config.OptionalPositive("rope_theta") ?? theta;
        return Build(config, scaling, dimensions, theta);
    }

    /// <summary>Rotated dimensions of a head where only a leading part is rotated.</summary>
    /// <param name="config">Configuration.</param>
    /// <param name="headSize">Size of a head.</param>
    /// <param name="key">The family's own key; <c>rope_parameters.partial_rotary_factor</c> comes first.</param>
    /// <param name="fallback">Share where neither is given.</param>
    public static int PartialDimensions(ConfigReader config, int headSize, string key, double fallback)
    {
        var share = config.Section("rope_parameters")?.OptionalPositive("partial_rotary_factor") ?? config.Positive(key, fallback);
        return share <= 1 ? (int)(headSize * share) : throw config.Wrong(key, "exceeds 1");
    }

    /// <summary>The rotary embedding of given scaling and base.</summary>
    public static RotarySpec Build(ConfigReader config, ConfigReader? scaling, int dimensions, double theta)
    {
        if (dimensions <= 0 || dimensions % 2 != 0)
        {
            var count = dimensions.ToString(CultureInfo.InvariantCulture);
            throw new ModelFileException(config.File, $"{count} rotary dimensions a head; expected an even number above 0.");
        }
        var frequencies = new double[dimensions / 2];
        for (var i = 0; i < frequencies.Length; i++) frequencies[i] = Math.Pow(theta, -2.0 * i / dimensions);
        var kind = scaling?.Text("rope_type") ?? scaling?.Text("type") ?? "default";
        switch (kind)
        {
            case "default":
                break;
            case "linear":
                var divisor = scaling!.Positive("factor");
                for (var i = 0; i < frequencies.Length; i++) frequencies[i] /= divisor;
                break;
            case "llama3":
                ScaleByWavelength(frequencies, scaling!, config);
                break;
            case "longrope" or "su":
                return LongRope(frequencies, scaling!, config);
            default:
                throw scaling!.Wrong("rope_type", $"is \"{kind}\", which is not supported", $"Supported: {Supported}.");
        }
        return new RotarySpec(dimensions, [.. frequencies]);
    }

    private static void ScaleByWavelength(double[] frequencies, ConfigReader scaling, ConfigReader config)
    {
        var factor = scaling.Positive("factor");
        var low = scaling.Positive("low_freq_factor");
        var high = scaling.Positive("high_freq_factor");
        if (high <= low) throw scaling.Wrong("high_freq_factor", "must exceed low_freq_factor");
        double original = scaling.OptionalCount("original_max_position_embeddings") ?? config.Count("max_position_embeddings");
        for (var i = 0; i < frequencies.Length; i++)
        {
            var wavelength = 2 * Math.PI / frequencies[i];
            if (wavelength < original / high) continue;
            // Between the two wavelengths the published rule blends the scaled and the unscaled frequency.
            var smooth = Math.Clamp((original / wavelength - low) / (high - low), 0, 1);
            frequencies[i] *= (1 - smooth) / factor + smooth;
        }
    }

    /// <summary>LongRoPE: one set of factors up to the original context length, another beyond it, and a factor on cos and sin.</summary>
    private static RotarySpec LongRope(double[] frequencies, ConfigReader scaling, ConfigReader config)
    {
        var longest = config.Count("max_position_embeddings");
        var declared = config.OptionalCount("original_max_position_embeddings");
        var original = declared ?? scaling.OptionalCount("original_max_position_embeddings") ?? longest;
        var stretch = (declared is null ? scaling.OptionalPositive("factor") : null) ?? (double)longest / original;
        var attention = scaling.OptionalPositive("attention_factor")
            ?? (stretch <= 1 ? 1 : Math.Sqrt(1 + Math.Log(stretch) / Math.Log(original)));
        return new RotarySpec(2 * frequencies.Length, Divided(frequencies, scaling, "short_factor"), attention)
        {
            LongInverseFrequencies = Divided(frequencies, scaling, "long_factor"),
            LongBeyond = original,
        };
    }

    private static ImmutableArray<double> Divided(double[] frequencies, ConfigReader scaling, string key)
    {
        var factors = scaling.List(key) ?? throw scaling.Wrong(key, "is missing");
        if (factors.Count != frequencies.Length)
        {
            throw scaling.Wrong(key, string.Create(CultureInfo.InvariantCulture,
                $"has {factors.Count} entries; expected {frequencies.Length}, one for each rotated pair"));
        }
        var divided = new double[frequencies.Length];
        for (var i = 0; i < divided.Length; i++)
        {
            if (factors[i].ValueKind != JsonValueKind.Number || !factors[i].TryGetDouble(out var f) || !(f > 0) || !double.IsFinite(f))
            {
                throw scaling.Wrong(key, $"holds {ConfigReader.Show(factors[i])}; expected numbers above 0");
            }
            divided[i] = frequencies[i] / f;
        }
        return [.. divided];
    }
}
