namespace Compress.Pruning.Selection;

/// <summary>What a radix selection found: keys below the bound go, and the first ones that equal it.</summary>
/// <param name="Bound">Keys below it go.</param>
/// <param name="Ties">How many keys equal to it go as well.</param>
internal readonly record struct KeyThreshold(int Bound, long Ties)
{
    /// <summary>Nothing goes but what an earlier stage removed.</summary>
    public static KeyThreshold None { get; } = new(0, 0);
}

/// <summary>Counts 31-bit keys by their upper 16 bits, or by the lower 15 among those that share the upper ones.</summary>
/// <remarks>Two passes of a radix selection: the k-th smallest of any number of keys is known after both, whatever their order.</remarks>
internal sealed class KeyHistogram
{
    private const int LowerBits = 15;

    private readonly long[] counts;
    private readonly int upper;

    /// <summary>Counts by upper bits.</summary>
    public KeyHistogram() => (counts, upper) = (new long[1 << 16], -1);

    /// <summary>Counts by lower bits the keys whose upper bits are given.</summary>
    public KeyHistogram(int upper) => (counts, this.upper) = (new long[1 << LowerBits], upper);

    /// <summary>Counts keys; negative ones (removed earlier) are left out.</summary>
    public void Add(ReadOnlySpan<int> keys)
    {
        var into = counts;
        if (upper < 0)
        {
            foreach (var key in keys)
            {
                if (key >= 0) into[key >> LowerBits]++;
            }
            return;
        }
        foreach (var key in keys)
        {
            if (key >> LowerBits == upper) into[key & ((1 << LowerBits) - 1)]++;
        }
    }

    /// <summary>Adds another histogram of the same kind.</summary>
    public void Add(KeyHistogram other)
    {
        for (var i = 0; i < counts.Length; i++) counts[i] += other.counts[i];
    }

    /// <summary>The class in which the k-th smallest key lies, and how many of its keys are among the k smallest.</summary>
    /// <param name="k">1 … number of keys.</param>
    public (int Class, long Within) Locate(long k)
    {
        for (var i = 0; i < counts.Length; i++)
        {
            if (k <= counts[i]) return (i, k);
            k -= counts[i];
        }
        throw new ArgumentOutOfRangeException(nameof(k));
    }

    /// <summary>Keys counted that equal a key of the class that this histogram looks into.</summary>
    public long CountOf(int key) => counts[key & ((1 << LowerBits) - 1)];

    /// <summary>The threshold below which the k smallest keys of this histogram's class and all classes before it lie.</summary>
    public KeyThreshold Threshold(long k)
    {
        var (lower, ties) = Locate(k);
        return new KeyThreshold((upper << LowerBits) | lower, ties);
    }
}
