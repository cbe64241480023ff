namespace Compress.Core.Numerics;

/// <summary>Runs independent pieces of numerical work on all cores.</summary>
public static class Workers
{
    /// <summary>Below this many element operations, waking another thread costs more than it saves.</summary>
    private const long WorthSharing = 100_000;

    /// <summary>
    /// Runs <paramref name="body"/> for 0 … count−1. Pieces must write to disjoint places, so that their order cannot be seen.
    /// </summary>
    /// <param name="count">Number of pieces.</param>
    /// <param name="work">Rough number of vectorised element operations in all; little work stays on the calling thread.</param>
    /// <param name="body">One piece.</param>
    public static void For(int count, long work, Action<int> body)
    {
        if (count > 1 && work >= WorthSharing)
        {
            Parallel.For(0, count, body);
            return;
        }
        for (var i = 0; i < count; i++) body(i);
    }
}
