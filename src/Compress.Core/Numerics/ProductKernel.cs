using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Compress.Core.Numerics;

/// <summary>
/// The innermost step of every large product here: an 8×32 tile of <c>C ± AᵀB</c>, with A and B in panels of 32 columns, one row of 32
/// after the other (<see cref="ColumnPanels"/>).
/// </summary>
/// <remarks>
/// Second-moment matrices, Cholesky updates and GPTQ's lazy updates all have this form, so they run in our own threads at the speed of
/// the vector units: nearly twice libtorch's where its BLAS does not use AVX-512 (it does not on AMD processors), and without its
/// OpenMP workers spinning on a core that other threads need. Sums run over k in order: the result does not depend on threads.
/// </remarks>
public static unsafe class ProductKernel
{
    /// <summary>Columns of a panel.</summary>
    public const int PanelWidth = 32;

    /// <summary>Rows of a tile.</summary>
    public const int TileRows = 8;

    /// <summary><c>C[i][j] += Σ_k a[k][i]·b[k][j]</c> for i in 0 … 7, j in 0 … 31.</summary>
    /// <param name="a">First of 8 columns in a panel.</param>
    /// <param name="b">First column of a panel.</param>
    /// <param name="count">Number of terms.</param>
    /// <param name="c">The tile.</param>
    /// <param name="stride">Elements from one row of the tile to the next.</param>
    public static void Add(float* a, float* b, int count, float* c, nint stride)
    {
        if (Vector512.IsHardwareAccelerated) Wide(a, b, count, c, stride, 1);
        else Portable(a, b, count, c, stride, 1);
    }

    /// <summary><c>C[i][j] −= Σ_k a[k][i]·b[k][j]</c>; see <see cref="Add"/>.</summary>
    /// <param name="a">First of 8 columns in a panel.</param>
    /// <param name="b">First column of a panel.</param>
    /// <param name="count">Number of terms.</param>
    /// <param name="c">The tile.</param>
    /// <param name="stride">Elements from one row of the tile to the next.</param>
    public static void Subtract(float* a, float* b, int count, float* c, nint stride)
    {
        if (Vector512.IsHardwareAccelerated) Wide(a, b, count, c, stride, -1);
        else Portable(a, b, count, c, stride, -1);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Wide(float* a, float* b, int count, float* c, nint stride, float sign)
    {
        Vector512<float> c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default;
        Vector512<float> c30 = default, c31 = default, c40 = default, c41 = default, c50 = default, c51 = default;
        Vector512<float> c60 = default, c61 = default, c70 = default, c71 = default;
        for (var k = 0; k < count; k++)
        {
            var b0 = Vector512.Load(b);
            var b1 = Vector512.Load(b + 16);
            var x = Vector512.Create(a[0]);
            c00 = Vector512.FusedMultiplyAdd(x, b0, c00);
            c01 = Vector512.FusedMultiplyAdd(x, b1, c01);
            x = Vector512.Create(a[1]);
            c10 = Vector512.FusedMultiplyAdd(x, b0, c10);
            c11 = Vector512.FusedMultiplyAdd(x, b1, c11);
            x = Vector512.Create(a[2]);
            c20 = Vector512.FusedMultiplyAdd(x, b0, c20);
            c21 = Vector512.FusedMultiplyAdd(x, b1, c21);
            x = Vector512.Create(a[3]);
            c30 = Vector512.FusedMultiplyAdd(x, b0, c30);
            c31 = Vector512.FusedMultiplyAdd(x, b1, c31);
            x = Vector512.Create(a[4]);
            c40 = Vector512.FusedMultiplyAdd(x, b0, c40);
            c41 = Vector512.FusedMultiplyAdd(x, b1, c41);
            x = Vector512.Create(a[5]);
            c50 = Vector512.FusedMultiplyAdd(x, b0, c50);
            c51 = Vector512.FusedMultiplyAdd(x, b1, c51);
            x = Vector512.Create(a[6]);
            c60 = Vector512.FusedMultiplyAdd(x, b0, c60);
            c61 = Vector512.FusedMultiplyAdd(x, b1, c61);
            x = Vector512.Create(a[7]);
            c70 = Vector512.FusedMultiplyAdd(x, b0, c70);
            c71 = Vector512.FusedMultiplyAdd(x, b1, c71);
            a += PanelWidth;
            b += PanelWidth;
        }
        var s = Vector512.Create(sign);
        Store(c, c00, c01, s);
        Store(c + stride, c10, c11, s);
        Store(c + 2 * stride, c20, c21, s);
        Store(c + 3 * stride, c30, c31, s);
        Store(c + 4 * stride, c40, c41, s);
        Store(c + 5 * stride, c50, c51, s);
        Store(c + 6 * stride, c60, c61, s);
        Store(c + 7 * stride, c70, c71, s);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* c, Vector512<float> left, Vector512<float> right, Vector512<float> sign)
    {
        Vector512.FusedMultiplyAdd(left, sign, Vector512.Load(c)).Store(c);
        Vector512.FusedMultiplyAdd(right, sign, Vector512.Load(c + 16)).Store(c + 16);
    }

    /// <summary>The same in vectors of the machine's own width, four rows by two vectors at a time.</summary>
    internal static void Portable(float* a, float* b, int count, float* c, nint stride, float sign)
    {
        var lanes = Vector<float>.Count;
        for (var i = 0; i < TileRows; i += 4)
        {
            for (var j = 0; j < PanelWidth; j += 2 * lanes)
            {
                Vector<float> c00 = default, c01 = default, c10 = default, c11 = default;
                Vector<float> c20 = default, c21 = default, c30 = default, c31 = default;
                for (var k = 0; k < count; k++)
                {
                    var b0 = Vector.Load(b + k * PanelWidth + j);
                    var b1 = Vector.Load(b + k * PanelWidth + j + lanes);
                    var x = a + k * PanelWidth + i;
                    c00 = Vector.FusedMultiplyAdd(new Vector<float>(x[0]), b0, c00);
                    c01 = Vector.FusedMultiplyAdd(new Vector<float>(x[0]), b1, c01);
                    c10 = Vector.FusedMultiplyAdd(new Vector<float>(x[1]), b0, c10);
                    c11 = Vector.FusedMultiplyAdd(new Vector<float>(x[1]), b1, c11);
                    c20 = Vector.FusedMultiplyAdd(new Vector<float>(x[2]), b0, c20);
                    c21 = Vector.FusedMultiplyAdd(new Vector<float>(x[2]), b1, c21);
                    c30 = Vector.FusedMultiplyAdd(new Vector<float>(x[3]), b0, c30);
                    c31 = Vector.FusedMultiplyAdd(new Vector<float>(x[3]), b1, c31);
                }
                var at = c + i * stride + j;
                Store(at, c00, c01, sign);
                Store(at + stride, c10, c11, sign);
                Store(at + 2 * stride, c20, c21, sign);
                Store(at + 3 * stride, c30, c31, sign);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* c, Vector<float> left, Vector<float> right, float sign)
    {
        var s = new Vector<float>(sign);
        Vector.FusedMultiplyAdd(left, s, Vector.Load(c)).Store(c);
        Vector.FusedMultiplyAdd(right, s, Vector.Load(c + Vector<float>.Count)).Store(c + Vector<float>.Count);
    }
}
