using Compress.Runtime.Threading;

namespace Compress.Runtime.Tests;

public class WorkerPoolTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Runs_every_part_exactly_once_round_after_round(int threads)
    {
        using var pool = new WorkerPool(threads);
        var counter = new Counter(37);
        for (var round = 1; round <= 3000; round++)
        {
            // A pause now and then lets the threads park.
            if (round % 1000 == 0) Thread.Sleep(5);
            pool.Run(counter, 37);
            Assert.All(counter.Counts, c => Assert.Equal(round, c));
        }
    }

    private sealed class Counter(int parts) : IParallelWork
    {
        public int[] Counts { get; } = new int[parts];

        public void Run(int part, int worker) => Interlocked.Increment(ref Counts[part]);
    }
}
