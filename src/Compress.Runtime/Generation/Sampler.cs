namespace Compress.Runtime.Generation;

/// <summary>How the next token is drawn from logits.</summary>
public sealed record SamplingOptions
{
    /// <summary>Divides logits; 0 takes the most likely token.</summary>
    public float Temperature { get; init; } = 0.8f;

    /// <summary>Only the <c>k</c> most likely tokens stay; 0 keeps all.</summary>
    public int TopK { get; init; } = 40;

    /// <summary>Only the most likely tokens whose probabilities add up to <c>p</c> stay; 1 keeps all.</summary>
    public float TopP { get; init; } = 0.95f;

    /// <summary>Only tokens at least <c>p</c> times as likely as the most likely stay; 0 keeps all.</summary>
    public float MinP { get; init; }

    /// <summary>Seed of the draws.</summary>
    public ulong Seed { get; init; }
}

/// <summary>Draws tokens: temperature, then top-k, top-p and min-p in this order. The same seed and logits give the same tokens everywhere.</summary>
public sealed class Sampler
{
    private readonly SamplingOptions options;
    private float[] scores = [];
    private int[] order = [];
    private ulong state;

    /// <summary>Makes a sampler.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An option is outside its range.</exception>
    public Sampler(SamplingOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(options.Temperature);
        ArgumentOutOfRangeException.ThrowIfNegative(options.TopK);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(options.TopP);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.TopP, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(options.MinP);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.MinP, 1);
        this.options = options;
        state = options.Seed;
    }

    /// <summary>Draws a token.</summary>
    /// <param name="logits">Logits <c>[vocabulary]</c>; not changed.</param>
    public int Next(ReadOnlySpan<float> logits)
    {
        if (options.Temperature == 0) return Best(logits);
        if (scores.Length != logits.Length) (scores, order) = (new float[logits.Length], new int[logits.Length]);
        for (var i = 0; i < logits.Length; i++) (scores[i], order[i]) = (-logits[i] / options.Temperature, i);
        Array.Sort(scores, order);
        var kept = options.TopK > 0 ? Math.Min(options.TopK, order.Length) : order.Length;
        double sum = 0;
        for (var i = 0; i < kept; i++) sum += Weight(i);
        double threshold = options.TopP * sum, cumulated = 0;
        var last = 0;
        for (; last < kept && cumulated < threshold && Weight(last) >= options.MinP; last++) cumulated += Weight(last);
        var draw = NextUniform() * cumulated;
        for (var i = 0; i < last; i++)
        {
            draw -= Weight(i);
            if (draw < 0) return order[i];
        }
        return order[Math.Max(0, last - 1)];
    }

    /// <summary>Probability of the token of rank <paramref name="rank"/> relative to the most likely one.</summary>
    private double Weight(int rank) => Math.Exp(scores[0] - scores[rank]);

    private static int Best(ReadOnlySpan<float> logits)
    {
        var best = 0;
        for (var i = 1; i < logits.Length; i++)
        {
            if (logits[i] > logits[best]) best = i;
        }
        return best;
    }

    /// <summary>SplitMix64 (Steele, Lea, Flood 2014), its top 53 bits as a number in [0, 1).</summary>
    private double NextUniform()
    {
        var z = state += 0x9E3779B97F4A7C15;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
        z = (z ^ z >> 27) * 0x94D049BB133111EB;
        return ((z ^ z >> 31) >> 11) * (1.0 / (1UL << 53));
    }
}
