using System.Diagnostics;

namespace Compress.Benchmarks;

/// <summary>Seconds of several repetitions.</summary>
/// <param name="Best">Least wall time.</param>
/// <param name="Median">Median wall time.</param>
/// <param name="Processor">Least processor time of all threads: what the work costs even when other programs take cores away.</param>
internal sealed record Timing(double Best, double Median, double Processor)
{
    /// <summary>Runs something once unmeasured, then measures repetitions.</summary>
    public static Timing Of(int repetitions, Action action)
    {
        action();
        var wall = new double[repetitions];
        var processor = new double[repetitions];
        using var process = Process.GetCurrentProcess();
        for (var i = 0; i < repetitions; i++)
        {
            process.Refresh();
            var before = process.TotalProcessorTime;
            var watch = Stopwatch.StartNew();
            action();
            wall[i] = watch.Elapsed.TotalSeconds;
            process.Refresh();
            processor[i] = (process.TotalProcessorTime - before).TotalSeconds;
        }
        Array.Sort(wall);
        return new Timing(wall[0], wall[repetitions / 2], processor.Min());
    }
}
