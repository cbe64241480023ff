using System.Numerics;

namespace Compress.Core.Numerics;

/// <summary>In-place Cholesky factorisation <c>A = GᵀG</c> of a symmetric positive definite f32 matrix, G upper triangular.</summary>
/// <remarks>
/// Recursive over halves of the rows, so that nearly all work is a few large symmetric products (<see cref="SymmetricProduct"/>) on all
/// cores: about n³/3 operations. The order of sums depends on n alone. Golub and Van Loan, "Matrix Computations", section 4.2.
/// </remarks>
public sealed unsafe class Cholesky : IDisposable
{
    private const int StripRows = ProductKernel.PanelWidth;
    private const int ColumnsPerTask = 512;

    /// <summary>A pivot must exceed this share of its original diagonal: below it lies nothing but rounding error.</summary>
    private const float LeastPivot = 4 * 1.1920929e-7f;

    private readonly float* a;
    private readonly int n;
    private readonly float[] diagonal;
    private readonly ColumnPanels scratch;

    private Cholesky(float* a, int n)
    {
        this.a = a;
        this.n = n;
        diagonal = new float[n];
        for (var i = 0; i < n; i++) diagonal[i] = a[(nint)i * n + i];
        var half = Middle(0, n);
        scratch = new ColumnPanels(half, Math.Max(half, n - half));
    }

    /// <summary>Factorises in place.</summary>
    /// <param name="matrix">Row-major <c>[n, n]</c>. Only the upper triangle is read; it becomes G. The rest is left undefined.</param>
    /// <returns>−1, or the first pivot that is not a number or not clearly positive; the matrix is spoilt then.</returns>
    public static int Factor(HostMatrix matrix)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(matrix.Columns, matrix.Rows);
        using var run = new Cholesky(matrix.Data, matrix.Rows);
        return run.Rows(0, matrix.Rows);
    }

    /// <inheritdoc/>
    public void Dispose() => scratch.Dispose();

    private static int Middle(int from, int to) => from + (to - from + 2 * StripRows - 1) / (2 * StripRows) * StripRows;

    private float* At(int row, int column) => a + (nint)row * n + column;

    /// <summary>Finishes rows whose updates from all rows above are done.</summary>
    private int Rows(int from, int to)
    {
        if (to - from <= StripRows) return Strip(from, to);
        var middle = Middle(from, to);
        var failed = Rows(from, middle);
        if (failed >= 0) return failed;
        scratch.Fill(At(from, middle), n, middle - from, n - middle);
        SymmetricProduct.AddUpper(scratch, At(middle, middle), n, to - middle, negative: true);
        return Rows(middle, to);
    }

    private int Strip(int from, int to)
    {
        for (var i = from; i < to; i++)
        {
            var pivot = *At(i, i);
            if (!(pivot > LeastPivot * diagonal[i]) || !float.IsFinite(pivot)) return i;
            var root = MathF.Sqrt(pivot);
            *At(i, i) = root;
            Scale(At(i, i + 1), to - i - 1, root);
            for (var row = i + 1; row < to; row++) SubtractScaled(At(row, row), At(i, row), to - row, *At(i, row));
        }
        var right = n - to;
        var tasks = (right + ColumnsPerTask - 1) / ColumnsPerTask;
        Workers.For(tasks, (long)right * (to - from) * 2, task =>
        {
            var first = to + task * ColumnsPerTask;
            SolveRight(from, to, first, Math.Min(ColumnsPerTask, n - first));
        });
        return -1;
    }

    /// <summary>Forward substitution with the transposed diagonal block for some columns to its right.</summary>
    private void SolveRight(int from, int to, int first, int count)
    {
        for (var i = from; i < to; i++)
        {
            for (var above = from; above < i; above++) SubtractScaled(At(i, first), At(above, first), count, *At(above, i));
            Scale(At(i, first), count, *At(i, i));
        }
    }

    private static void Scale(float* row, int count, float divisor)
    {
        var j = 0;
        var d = new Vector<float>(divisor);
        for (; j <= count - Vector<float>.Count; j += Vector<float>.Count) (Vector.Load(row + j) / d).Store(row + j);
        for (; j < count; j++) row[j] /= divisor;
    }

    private static void SubtractScaled(float* target, float* row, int count, float factor)
    {
        var j = 0;
        var f = new Vector<float>(-factor);
        for (; j <= count - Vector<float>.Count; j += Vector<float>.Count)
            Vector.FusedMultiplyAdd(f, Vector.Load(row + j), Vector.Load(target + j)).Store(target + j);
        for (; j < count; j++) target[j] = MathF.FusedMultiplyAdd(-factor, row[j], target[j]);
    }
}
