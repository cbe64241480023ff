using System.Diagnostics;

namespace Compress.Runtime.Threading;

/// <summary>Work that splits into parts which may run at once; parts write disjoint memory.</summary>
internal interface IParallelWork
{
    /// <summary>Runs one part.</summary>
    /// <param name="part">Which one.</param>
    /// <param name="worker">Index of the thread that runs it, for scratch memory.</param>
    void Run(int part, int worker);
}

/// <summary>
/// Threads that share the parts of one piece of work after the other. A waiting thread spins briefly and then parks, and parts are taken
/// one at a time, so a core that another process takes costs its share and little more.
/// </summary>
internal sealed class WorkerPool : IDisposable
{
    /// <summary>About twenty microseconds: longer than the pauses within a layer, shorter than a scheduler slice.</summary>
    private const int SpinsBeforeParking = 400;

    /// <summary>A wait this long means that a worker was taken off its core: no part of any work takes as long.</summary>
    private static readonly long LongWait = Stopwatch.Frequency / 1000;

    /// <summary>After how many waits without one that was long the machine counts as quiet again.</summary>
    private const int QuietWaits = 256;

    private const int ShortestPause = 10, LongestPause = 320;

    private readonly Thread[] threads;
    private readonly SemaphoreSlim wake = new(0);
    private IParallelWork work = Nothing.Instance;
    private int parts;
    private int finished;
    private int parked;
    private volatile bool stopping;

    /// <summary>Until when the caller works alone, because another process has one of the cores.</summary>
    private long aloneUntil;
    private int pauseMilliseconds = ShortestPause;
    private int quietWaits;

    /// <summary>Round number in the high half, next part in the low half: a late thread cannot take a part of another round.</summary>
    private long ticket;

    /// <summary>Starts <paramref name="count"/> − 1 threads; the caller of <see cref="Run"/> is the first worker.</summary>
    public WorkerPool(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        Count = count;
        threads = new Thread[count - 1];
        for (var i = 0; i < threads.Length; i++)
        {
            var worker = i + 1;
            threads[i] = new Thread(() => Loop(worker)) { IsBackground = true, Name = $"compress worker {worker}" };
            threads[i].Start();
        }
    }

    /// <summary>Workers, the calling thread included.</summary>
    public int Count { get; }

    /// <summary>Runs all parts and returns when the last has ended. Not to be called by two threads at once.</summary>
    public void Run(IParallelWork newWork, int newParts)
    {
        if (threads.Length == 0 || newParts == 1 || Stopwatch.GetTimestamp() < aloneUntil)
        {
            for (var part = 0; part < newParts; part++) newWork.Run(part, 0);
            return;
        }
        work = newWork;
        parts = newParts;
        finished = 0;
        var round = (Volatile.Read(ref ticket) >> 32) + 1;
        // A full fence: the fields above are seen by whoever sees the new round, and the parked count is read after it.
        Interlocked.Exchange(ref ticket, round << 32);
        var sleeping = Volatile.Read(ref parked);
        if (sleeping > 0) wake.Release(sleeping);
        TakeParts(round, 0);
        if (Volatile.Read(ref finished) < newParts) WaitForTheOthers(newParts);
    }

    /// <summary>
    /// Waits for parts that other workers have begun. Where that takes a scheduler's slice, the caller works alone for a while, longer each
    /// time: with a core taken away, waiting at the end of every product costs more than the core gives.
    /// </summary>
    private void WaitForTheOthers(int newParts)
    {
        var start = Stopwatch.GetTimestamp();
        var spinner = default(SpinWait);
        while (Volatile.Read(ref finished) < newParts) spinner.SpinOnce(sleep1Threshold: -1);
        var now = Stopwatch.GetTimestamp();
        if (now - start < LongWait)
        {
            if (++quietWaits > QuietWaits) pauseMilliseconds = ShortestPause;
            return;
        }
        quietWaits = 0;
        aloneUntil = now + pauseMilliseconds * Stopwatch.Frequency / 1000;
        pauseMilliseconds = Math.Min(2 * pauseMilliseconds, LongestPause);
    }

    /// <summary>Stops the threads.</summary>
    public void Dispose()
    {
        stopping = true;
        wake.Release(threads.Length + 1);
        foreach (var thread in threads) thread.Join();
        wake.Dispose();
    }

    private void Loop(int worker)
    {
        long seen = 0;
        while (!stopping)
        {
            var round = WaitForRound(seen);
            if (round == seen) continue;
            seen = round;
            TakeParts(round, worker);
        }
    }

    /// <summary>The newest round, or <paramref name="seen"/> after an idle wake-up.</summary>
    private long WaitForRound(long seen)
    {
        for (var i = 0; i < SpinsBeforeParking; i++)
        {
            var round = Volatile.Read(ref ticket) >> 32;
            if (round != seen) return round;
            Thread.SpinWait(8);
        }
        Interlocked.Increment(ref parked);
        // A round that began in between has not counted this thread: it must not sleep through it.
        if (Volatile.Read(ref ticket) >> 32 == seen && !stopping) wake.Wait();
        Interlocked.Decrement(ref parked);
        return Volatile.Read(ref ticket) >> 32;
    }

    private void TakeParts(long round, int worker)
    {
        while (true)
        {
            var current = Volatile.Read(ref ticket);
            if (current >> 32 != round || (int)current >= parts) return;
            if (Interlocked.CompareExchange(ref ticket, current + 1, current) != current) continue;
            work.Run((int)current, worker);
            Interlocked.Increment(ref finished);
        }
    }

    private sealed class Nothing : IParallelWork
    {
        public static readonly Nothing Instance = new();

        public void Run(int part, int worker) { }
    }
}
