using System.Diagnostics;
using System.Numerics;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Compress.Cli.Doctor;

/// <summary>Two seconds of arithmetic: is a product right, and how fast are products and memory?</summary>
/// <param name="GflopsF32">Rate of a 1024³ product in f32, 10⁹ operations per second.</param>
/// <param name="GflopsBf16">Rate of a 1024³ product in bf16.</param>
/// <param name="MemoryGigabytesPerSecond">Rate of reading 256 MB on all cores.</param>
/// <param name="LargestError">Largest difference of an f32 product from one in double precision.</param>
/// <param name="AllowedError">Bound for a summation of this length in f32.</param>
internal sealed record SelfTest(
    double GflopsF32, double GflopsBf16, double MemoryGigabytesPerSecond, double LargestError, double AllowedError)
{
    private const int Size = 1024;
    private const int Small = 96;
    private static readonly TimeSpan Each = TimeSpan.FromSeconds(0.5);

    /// <summary>True where the product is right.</summary>
    public bool Correct => LargestError <= AllowedError;

    /// <summary>Runs the test on the CPU.</summary>
    public static SelfTest Run()
    {
        using var scope = NewDisposeScope();
        var generator = new Generator(0);
        var a = randn([Size, Size], generator: generator);
        var b = randn([Size, Size], generator: generator);
        var (error, allowed) = Compare(a, b);
        return new SelfTest(
            Gflops(a, b), Gflops(a.to(ScalarType.BFloat16), b.to(ScalarType.BFloat16)), Bandwidth(), error, allowed);
    }

    private static double Gflops(Tensor a, Tensor b)
    {
        var seconds = SecondsOfBest(() => a.matmul(b).Dispose());
        return 2.0 * Size * Size * Size / seconds / 1e9;
    }

    private static double Bandwidth()
    {
        var buffer = new float[64 << 20];
        Array.Fill(buffer, 1f);
        var slices = Environment.ProcessorCount;
        var length = buffer.Length / slices / Vector<float>.Count * Vector<float>.Count;
        var sums = new float[slices];
        var seconds = SecondsOfBest(() => Parallel.For(0, slices, s => sums[s] = Sum(buffer.AsSpan(s * length, length))));
        return (double)length * slices * sizeof(float) / seconds / 1e9;
    }

    private static float Sum(ReadOnlySpan<float> values)
    {
        var vectors = MemoryMarshal.Cast<float, Vector<float>>(values);
        Vector<float> s0 = default, s1 = default, s2 = default, s3 = default;
        for (var i = 0; i + 4 <= vectors.Length; i += 4)
        {
            s0 += vectors[i];
            s1 += vectors[i + 1];
            s2 += vectors[i + 2];
            s3 += vectors[i + 3];
        }
        return Vector.Sum(s0 + s1 + s2 + s3);
    }

    private static double SecondsOfBest(Action action)
    {
        action();
        var best = TimeSpan.MaxValue;
        for (var began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began) < Each;)
        {
            var start = Stopwatch.GetTimestamp();
            action();
            var elapsed = Stopwatch.GetElapsedTime(start);
            if (elapsed < best) best = elapsed;
        }
        return best.TotalSeconds;
    }

    /// <summary>A corner of the product against plain loops in double precision.</summary>
    private static (double Error, double Allowed) Compare(Tensor a, Tensor b)
    {
        using var product = a.matmul(b);
        float[] x = a.data<float>().ToArray(), y = b.data<float>().ToArray(), z = product.data<float>().ToArray();
        double error = 0, allowed = 0;
        for (var i = 0; i < Small; i++)
        {
            for (var j = 0; j < Small; j++)
            {
                double sum = 0, magnitude = 0;
                for (var k = 0; k < Size; k++)
                {
                    var term = (double)x[i * Size + k] * y[k * Size + j];
                    sum += term;
                    magnitude += Math.Abs(term);
                }
                error = Math.Max(error, Math.Abs(sum - z[i * Size + j]));
                // Higham, "Accuracy and Stability of Numerical Algorithms", section 3.1: |error| ≤ n·u·Σ|terms|.
                allowed = Math.Max(allowed, Size * Math.Pow(2, -24) * magnitude);
            }
        }
        return (error, allowed);
    }
}
