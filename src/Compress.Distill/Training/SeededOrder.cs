namespace Compress.Distill.Training;

/// <summary>Random order and numbers that are the same on every machine and runtime version (SplitMix64).</summary>
/// <remarks>Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", figure 17.</remarks>
/// <param name="seed">Seed; equal seeds give equal sequences.</param>
internal sealed class SeededOrder(ulong seed)
{
    ulong state = seed;

    /// <summary>Seed of a part of the work: equal parts of equal runs draw equal numbers, whatever was drawn before.</summary>
    public static SeededOrder For(int seed, int part)
    {
        var mixer = new SeededOrder((uint)seed | (ulong)(uint)part << 32);
        mixer.Next();
        return new SeededOrder(mixer.Next());
    }

    public ulong Next()
    {
        var z = state += 0x9E3779B97F4A7C15;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
        z = (z ^ z >> 27) * 0x94D049BB133111EB;
        return z ^ z >> 31;
    }

    /// <summary>A number from 0 up to but not including <paramref name="bound"/>.</summary>
    public int Below(int bound) => (int)Math.BigMul(Next(), (ulong)bound, out _);

    /// <summary>0 … count−1 in random order (Fisher and Yates).</summary>
    public int[] Permutation(int count)
    {
        var order = new int[count];
        for (var i = 0; i < count; i++)
        {
            var j = Below(i + 1);
            order[i] = order[j];
            order[j] = i;
        }
        return order;
    }
}
