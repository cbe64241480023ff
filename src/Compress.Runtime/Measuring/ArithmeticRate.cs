using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Compress.Runtime.Measuring;

/// <summary>How fast all threads together multiply and add, with operands in registers: what no kernel exceeds.</summary>
internal static class ArithmeticRate
{
    private const int Steps = 1 << 20;

    /// <summary>Independent sums: what keeps two multiply-add units with a latency of four or five cycles busy, with some to spare.</summary>
    private const int Sums = 12;

    /// <summary>An instruction, or a short sequence, that multiplies and adds.</summary>
    /// <typeparam name="T">The vector.</typeparam>
    private interface IMultiplyAdd<T> where T : struct
    {
        /// <summary>Multiplications and additions of one step.</summary>
        static abstract int Operations { get; }

        /// <summary>An operand that keeps the sums finite.</summary>
        static abstract T Operand { get; }

        /// <summary>Adds to a sum; depends on the sum, so that no part of it can be taken out of the loop.</summary>
        static abstract T Next(T sum, T operand);
    }

    /// <summary>Multiplications and additions of f32 a second; a fused one counts as two.</summary>
    public static double Floats(int threads, TimeSpan time) => Vector512.IsHardwareAccelerated
        ? Measure<Vector512<float>, Fused512>(threads, time)
        : Vector256.IsHardwareAccelerated ? Measure<Vector256<float>, Fused256>(threads, time) : Measure<Vector128<float>, Fused128>(threads, time);

    /// <summary>Multiplications and additions of 8-bit integers a second.</summary>
    public static double Integers(int threads, TimeSpan time)
    {
        if (AssembledRate.IsAvailable) return AssembledRate.Integers(threads, time);
        var best = 0.0;
        if (AvxVnni.IsSupported) best = Measure<Vector256<int>, Dot256>(threads, time / 2);
        if (Avx512BW.IsSupported) return Math.Max(best, Measure<Vector512<short>, Pairs512>(threads, time / 2));
        if (Avx2.IsSupported) return Math.Max(best, Measure<Vector256<short>, Pairs256>(threads, time / 2));
        return Math.Max(best, Measure<Vector128<short>, Products128>(threads, time));
    }

    private static double Measure<T, TStep>(int threads, TimeSpan time)
        where T : struct
        where TStep : IMultiplyAdd<T>
    {
        var results = new T[threads * 64];
        return MachineRates.Best(threads, time, (double)TStep.Operations * Sums * Steps, i => results[i * 64] = Run<T, TStep>(results[i * 64]));
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static T Run<T, TStep>(T start)
        where T : struct
        where TStep : IMultiplyAdd<T>
    {
        var x = TStep.Operand;
        T a = start, b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a, j = a, k = a, l = a;
        for (var step = 0; step < Steps; step++)
        {
            a = TStep.Next(a, x);
            b = TStep.Next(b, x);
            c = TStep.Next(c, x);
            d = TStep.Next(d, x);
            e = TStep.Next(e, x);
            f = TStep.Next(f, x);
            g = TStep.Next(g, x);
            h = TStep.Next(h, x);
            i = TStep.Next(i, x);
            j = TStep.Next(j, x);
            k = TStep.Next(k, x);
            l = TStep.Next(l, x);
        }
        // Each sum must count, or the compiler may leave it out; an array of them would put them all in memory.
        a = TStep.Next(TStep.Next(TStep.Next(a, b), c), d);
        e = TStep.Next(TStep.Next(TStep.Next(e, f), g), h);
        i = TStep.Next(TStep.Next(TStep.Next(i, j), k), l);
        return TStep.Next(TStep.Next(a, e), i);
    }

    private readonly struct Fused512 : IMultiplyAdd<Vector512<float>>
    {
        public static int Operations => 32;

        public static Vector512<float> Operand => Vector512.Create(0.5f);

        public static Vector512<float> Next(Vector512<float> sum, Vector512<float> operand) =>
            Vector512.FusedMultiplyAdd(sum, operand, operand);
    }

    private readonly struct Fused256 : IMultiplyAdd<Vector256<float>>
    {
        public static int Operations => 16;

        public static Vector256<float> Operand => Vector256.Create(0.5f);

        public static Vector256<float> Next(Vector256<float> sum, Vector256<float> operand) =>
            Vector256.MultiplyAddEstimate(sum, operand, operand);
    }

    private readonly struct Fused128 : IMultiplyAdd<Vector128<float>>
    {
        public static int Operations => 8;

        public static Vector128<float> Operand => Vector128.Create(0.5f);

        public static Vector128<float> Next(Vector128<float> sum, Vector128<float> operand) =>
            Vector128.MultiplyAddEstimate(sum, operand, operand);
    }

    /// <summary>Four products of bytes and their sum, added to 32 bits, in one instruction.</summary>
    private readonly struct Dot256 : IMultiplyAdd<Vector256<int>>
    {
        public static int Operations => 64;

        public static Vector256<int> Operand => Vector256.Create((byte)3).AsInt32();

        public static Vector256<int> Next(Vector256<int> sum, Vector256<int> operand) =>
            AvxVnni.MultiplyWideningAndAdd(sum, operand.AsByte(), operand.AsSByte());
    }

    /// <summary>Two products of bytes and their sum in one instruction, added to 16 bits in another.</summary>
    private readonly struct Pairs512 : IMultiplyAdd<Vector512<short>>
    {
        public static int Operations => 128;

        public static Vector512<short> Operand => Vector512.Create((byte)3).AsInt16();

        public static Vector512<short> Next(Vector512<short> sum, Vector512<short> operand) =>
            sum + Avx512BW.MultiplyAddAdjacent(sum.AsByte(), operand.AsSByte());
    }

    /// <summary>As <see cref="Pairs512"/>, of half the width.</summary>
    private readonly struct Pairs256 : IMultiplyAdd<Vector256<short>>
    {
        public static int Operations => 64;

        public static Vector256<short> Operand => Vector256.Create((byte)3).AsInt16();

        public static Vector256<short> Next(Vector256<short> sum, Vector256<short> operand) =>
            sum + Avx2.MultiplyAddAdjacent(sum.AsByte(), operand.AsSByte());
    }

    /// <summary>Where nothing multiplies bytes: products of 16-bit lanes.</summary>
    private readonly struct Products128 : IMultiplyAdd<Vector128<short>>
    {
        public static int Operations => 16;

        public static Vector128<short> Operand => Vector128.Create((short)3);

        public static Vector128<short> Next(Vector128<short> sum, Vector128<short> operand) => (sum * operand) + operand;
    }
}
