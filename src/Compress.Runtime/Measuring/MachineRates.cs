using System.Diagnostics;

namespace Compress.Runtime.Measuring;

/// <summary>What this machine can do at most: the two roofs under which every product of weights and activations lies.</summary>
/// <param name="Threads">Threads that worked.</param>
/// <param name="ReadBytesPerSecond">Rate of reading memory far beyond the caches; the best pass.</param>
/// <param name="FloatOperationsPerSecond">Rate of f32 multiplications and additions from registers; the best pass.</param>
/// <param name="IntegerOperationsPerSecond">
/// Rate of 8-bit multiplications and 32-bit or 16-bit additions from registers, with the best instruction that C# reaches; the best pass.
/// </param>
public sealed record MachineRates(
    int Threads, double ReadBytesPerSecond, double FloatOperationsPerSecond, double IntegerOperationsPerSecond)
{
    /// <summary>Measures all three.</summary>
    /// <param name="threads">Threads that work at once.</param>
    /// <param name="each">Time for each measurement, without preparing memory.</param>
    public static MachineRates Measure(int threads, TimeSpan each)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(threads);
        return new MachineRates(
            threads, ReadRate.Measure(threads, each), ArithmeticRate.Floats(threads, each), ArithmeticRate.Integers(threads, each));
    }

    /// <summary>
    /// Runs the same piece on several threads again and again, and gives the rate of the best round: the time of a round is that of its
    /// slowest thread.
    /// </summary>
    /// <param name="threads">Number of threads.</param>
    /// <param name="time">Rounds begin until this time is over; at least three.</param>
    /// <param name="amount">What a thread does in one round.</param>
    /// <param name="round">Does it; takes the thread's index.</param>
    internal static double Best(int threads, TimeSpan time, double amount, Action<int> round)
    {
        const int Least = 3;
        using var barrier = new Barrier(threads);
        var (best, begin, start, rounds, stop) = (0.0, Stopwatch.GetTimestamp(), 0L, 0, false);
        var workers = new Thread[threads];
        for (var i = 0; i < threads; i++)
        {
            var index = i;
            workers[i] = new Thread(() =>
            {
                // The first round warms caches, pages and clocks, and is not counted.
                round(index);
                while (true)
                {
                    barrier.SignalAndWait();
                    if (index == 0)
                    {
                        stop = rounds >= Least && Stopwatch.GetElapsedTime(begin) > time;
                        start = Stopwatch.GetTimestamp();
                    }
                    barrier.SignalAndWait();
                    if (stop) return;
                    round(index);
                    barrier.SignalAndWait();
                    if (index != 0) continue;
                    best = Math.Max(best, amount * threads / Stopwatch.GetElapsedTime(start).TotalSeconds);
                    rounds++;
                }
            });
            workers[i].Start();
        }
        foreach (var worker in workers) worker.Join();
        return best;
    }
}
