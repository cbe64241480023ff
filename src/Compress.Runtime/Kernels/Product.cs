using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Compress.Runtime.Kernels;

/// <summary>The two loops over an encoded weight <c>W [rows, columns]</c>: one token (decoding) and many (prompts, perplexity).</summary>
internal static unsafe class Product
{
    /// <summary>Tokens that one pass over decoded rows serves: 4 rows × 4 tokens of accumulators fill half the registers.</summary>
    private const int TokenTile = 4;

    /// <summary>Rows decoded together; with them the tile of a wide layer still fits the second-level cache.</summary>
    private const int RowTile = 4;

    /// <summary><c>y[r] = Σ_c W[r,c] x[c]</c> for rows <paramref name="from"/> … <paramref name="to"/> − 1.</summary>
    /// <param name="weights">First row of the whole matrix.</param>
    /// <param name="columns">Columns, a multiple of 32.</param>
    /// <param name="x">Activations, <paramref name="columns"/> floats.</param>
    /// <param name="y">Outputs, indexed by row.</param>
    /// <param name="from">First row.</param>
    /// <param name="to">One past the last row.</param>
    public static void Vector<TCodec>(byte* weights, int columns, float* x, float* y, int from, int to) where TCodec : IWeightCodec
    {
        var rowBytes = TCodec.RowBytes(columns);
        nint groups = columns / 32;
        var r = from;
        for (; r + 1 < to; r += 2)
        {
            byte* first = weights + r * rowBytes, second = first + rowBytes;
            Vector512<float> a0 = default, a1 = default, b0 = default, b1 = default;
            for (nint g = 0; g < groups; g++)
            {
                Vector512<float> x0 = Vector512.Load(x + 32 * g), x1 = Vector512.Load(x + 32 * g + 16);
                TCodec.Decode(first, g, out var low, out var high);
                a0 = Vector512.FusedMultiplyAdd(low, x0, a0);
                a1 = Vector512.FusedMultiplyAdd(high, x1, a1);
                TCodec.Decode(second, g, out low, out high);
                b0 = Vector512.FusedMultiplyAdd(low, x0, b0);
                b1 = Vector512.FusedMultiplyAdd(high, x1, b1);
            }
            y[r] = Vector512.Sum(a0 + a1);
            y[r + 1] = Vector512.Sum(b0 + b1);
        }
        if (r == to) return;
        Vector512<float> c0 = default, c1 = default;
        for (nint g = 0; g < groups; g++)
        {
            TCodec.Decode(weights + r * rowBytes, g, out var low, out var high);
            c0 = Vector512.FusedMultiplyAdd(low, Vector512.Load(x + 32 * g), c0);
            c1 = Vector512.FusedMultiplyAdd(high, Vector512.Load(x + 32 * g + 16), c1);
        }
        y[r] = Vector512.Sum(c0 + c1);
    }

    /// <summary><c>Y[t,r] = Σ_c W[r,c] X[t,c]</c> for a range of rows: each tile of rows is decoded once for all tokens.</summary>
    /// <param name="weights">First row of the whole matrix.</param>
    /// <param name="columns">Columns, a multiple of 32.</param>
    /// <param name="x">Activations <c>[tokens, xStride]</c>.</param>
    /// <param name="xStride">Floats from one token's activations to the next.</param>
    /// <param name="tokens">Number of tokens.</param>
    /// <param name="y">Outputs <c>[tokens, stride]</c>.</param>
    /// <param name="stride">Floats from one token's outputs to the next.</param>
    /// <param name="from">First row.</param>
    /// <param name="to">One past the last row.</param>
    /// <param name="panel">Scratch of <c>4 · columns</c> floats.</param>
    public static void Matrix<TCodec>(
        byte* weights, int columns, float* x, nint xStride, int tokens, float* y, nint stride, int from, int to, float* panel) where TCodec : IWeightCodec
    {
        var rowBytes = TCodec.RowBytes(columns);
        for (var r = from; r < to; r += RowTile)
        {
            var rows = Math.Min(RowTile, to - r);
            for (var i = 0; i < RowTile; i++)
            {
                // A short last tile repeats its last row; the surplus sums are not stored.
                var row = weights + (r + Math.Min(i, rows - 1)) * rowBytes;
                for (nint g = 0; g < columns / 32; g++)
                {
                    TCodec.Decode(row, g, out var low, out var high);
                    low.Store(panel + i * (nint)columns + 32 * g);
                    high.Store(panel + i * (nint)columns + 32 * g + 16);
                }
            }
            for (var t = 0; t < tokens; t += TokenTile)
                Tile(panel, columns, x + t * xStride, xStride, Math.Min(TokenTile, tokens - t), y + t * stride + r, stride, rows);
        }
    }

    private static void Tile(float* w, nint columns, float* x, nint xStride, int tokens, float* y, nint stride, int rows)
    {
        float* x0 = x, x1 = x + Math.Min(1, tokens - 1) * xStride, x2 = x + Math.Min(2, tokens - 1) * xStride, x3 = x + Math.Min(3, tokens - 1) * xStride;
        float* w0 = w, w1 = w + columns, w2 = w1 + columns, w3 = w2 + columns;
        Vector512<float> s00 = default, s01 = default, s02 = default, s03 = default;
        Vector512<float> s10 = default, s11 = default, s12 = default, s13 = default;
        Vector512<float> s20 = default, s21 = default, s22 = default, s23 = default;
        Vector512<float> s30 = default, s31 = default, s32 = default, s33 = default;
        for (nint c = 0; c < columns; c += 16)
        {
            Vector512<float> a = Vector512.Load(x0 + c), b = Vector512.Load(x1 + c), d = Vector512.Load(x2 + c), e = Vector512.Load(x3 + c);
            var v = Vector512.Load(w0 + c);
            s00 = Vector512.FusedMultiplyAdd(v, a, s00);
            s01 = Vector512.FusedMultiplyAdd(v, b, s01);
            s02 = Vector512.FusedMultiplyAdd(v, d, s02);
            s03 = Vector512.FusedMultiplyAdd(v, e, s03);
            v = Vector512.Load(w1 + c);
            s10 = Vector512.FusedMultiplyAdd(v, a, s10);
            s11 = Vector512.FusedMultiplyAdd(v, b, s11);
            s12 = Vector512.FusedMultiplyAdd(v, d, s12);
            s13 = Vector512.FusedMultiplyAdd(v, e, s13);
            v = Vector512.Load(w2 + c);
            s20 = Vector512.FusedMultiplyAdd(v, a, s20);
            s21 = Vector512.FusedMultiplyAdd(v, b, s21);
            s22 = Vector512.FusedMultiplyAdd(v, d, s22);
            s23 = Vector512.FusedMultiplyAdd(v, e, s23);
            v = Vector512.Load(w3 + c);
            s30 = Vector512.FusedMultiplyAdd(v, a, s30);
            s31 = Vector512.FusedMultiplyAdd(v, b, s31);
            s32 = Vector512.FusedMultiplyAdd(v, d, s32);
            s33 = Vector512.FusedMultiplyAdd(v, e, s33);
        }
        Store(y, rows, s00, s10, s20, s30);
        if (tokens > 1) Store(y + stride, rows, s01, s11, s21, s31);
        if (tokens > 2) Store(y + 2 * stride, rows, s02, s12, s22, s32);
        if (tokens > 3) Store(y + 3 * stride, rows, s03, s13, s23, s33);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* y, int rows, Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d)
    {
        y[0] = Vector512.Sum(a);
        if (rows > 1) y[1] = Vector512.Sum(b);
        if (rows > 2) y[2] = Vector512.Sum(c);
        if (rows > 3) y[3] = Vector512.Sum(d);
    }
}
