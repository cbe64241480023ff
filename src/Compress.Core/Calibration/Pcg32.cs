namespace Compress.Core.Calibration;

/// <summary>
/// PCG-XSH-RR 64/32 (O'Neill 2014, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random Number
/// Generation"): 64 bits of state, 32 bits of output, 2^63 independent streams.
/// </summary>
/// <remarks>
/// Everything random in a run comes from here and not from <see cref="Random"/>, whose sequence may change with the .NET version:
/// a recipe with a seed draws the same calibration windows on every machine and in every year.
/// </remarks>
public sealed class Pcg32
{
    private const ulong Multiplier = 6364136223846793005;

    private readonly ulong increment;
    private ulong state;

    /// <summary>Seeds the generator as the reference implementation's <c>pcg32_srandom</c> does.</summary>
    /// <param name="seed">Where the sequence begins.</param>
    /// <param name="stream">Which of the 2^63 sequences; two streams with the same seed are independent.</param>
    public Pcg32(ulong seed, ulong stream = 0)
    {
        increment = (stream << 1) | 1;
        NextUInt32();
        state += seed;
        NextUInt32();
    }

    /// <summary>The next 32 random bits.</summary>
    public uint NextUInt32()
    {
        var old = state;
        state = unchecked((old * Multiplier) + increment);
        var xorShifted = (uint)(((old >> 18) ^ old) >> 27);
        return uint.RotateRight(xorShifted, (int)(old >> 59));
    }

    /// <summary>A uniform integer in <c>0 … bound−1</c> without modulo bias (the reference's <c>pcg32_boundedrand</c>).</summary>
    /// <param name="bound">Exclusive upper bound, at least 1.</param>
    public int Next(int bound)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bound, 1);
        var range = (uint)bound;
        // 2^32 mod range: outputs below it would make the smallest results too frequent.
        var threshold = unchecked(0u - range) % range;
        uint drawn;
        do drawn = NextUInt32();
        while (drawn < threshold);
        return (int)(drawn % range);
    }
}
