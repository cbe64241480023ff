using MathNet.Numerics.LinearAlgebra;

namespace Compress.Quant.Tests;

/// <summary>The published algorithm of GPTQ, line by line, in double precision: one column after the other, H⁻¹ by inversion.</summary>
/// <remarks>IST-DASLab/gptq, fasterquant and Quantizer, without mercy for speed.</remarks>
internal sealed class PlainGptq
{
    public required int Bits { get; init; }

    public int GroupSize { get; init; } = -1;

    public bool Symmetric { get; init; }

    public bool Mse { get; init; }

    /// <summary>The search of <see cref="Mse"/> with squared errors weighted by the Hessian's diagonal.</summary>
    public bool Importance { get; init; }

    public bool ActivationOrder { get; init; }

    public bool StaticGroups { get; init; }

    public int BlockSize { get; init; } = 128;

    public double Damping { get; init; } = 0.01;

    /// <summary>Kept weights; the others are quantized to 0.</summary>
    public bool[,]? Mask { get; init; }

    /// <summary>Rounds a scale to its storage type.</summary>
    public Func<double, double> Stored { get; init; } = s => (float)s;

    private double[] moments = [];

    public double Loss { get; private set; }

    /// <summary>How close each weight came to the border between two codes, in original columns.</summary>
    public double[,] TieDistance { get; private set; } = new double[0, 0];

    public (int[,] Codes, double[,] Decoded) Run(Matrix<double> weight, Matrix<double> hessian)
    {
        var (rows, n) = (weight.RowCount, weight.ColumnCount);
        var w = weight.Clone();
        var h = hessian.Clone();
        moments = [.. hessian.Diagonal()];
        var whole = GroupSize == -1 ? Fit(w, Enumerable.Range(0, n)) : null;
        for (var c = 0; c < n; c++)
        {
            if (h[c, c] != 0) continue;
            h[c, c] = 1;
            for (var r = 0; r < rows; r++) w[r, c] = 0;
        }
        var groups = StaticGroups && GroupSize != -1
            ? Enumerable.Range(0, (n + GroupSize - 1) / GroupSize)
                .Select(g => Fit(w, Enumerable.Range(g * GroupSize, Math.Min(GroupSize, n - g * GroupSize)))).ToArray()
            : [];
        var perm = Enumerable.Range(0, n).ToArray();
        if (ActivationOrder) perm = [.. perm.OrderByDescending(c => (float)h[c, c])];
        w = Matrix<double>.Build.Dense(rows, n, (r, j) => w[r, perm[j]]);
        h = Matrix<double>.Build.Dense(n, n, (i, j) => h[perm[i], perm[j]]);
        h += Matrix<double>.Build.DenseIdentity(n) * (Damping * h.Diagonal().Average());
        var u = h.Inverse().Cholesky().Factor.Transpose();

        var codes = new int[rows, n];
        var decoded = new double[rows, n];
        TieDistance = new double[rows, n];
        var current = whole;
        for (var i1 = 0; i1 < n; i1 += BlockSize)
        {
            var i2 = Math.Min(i1 + BlockSize, n);
            var w1 = w.SubMatrix(0, rows, i1, i2 - i1);
            var err = Matrix<double>.Build.Dense(rows, i2 - i1);
            for (var i = 0; i < i2 - i1; i++)
            {
                var c = i1 + i;
                if (GroupSize != -1)
                {
                    if (StaticGroups) current = groups[perm[c] / GroupSize];
                    else if (c % GroupSize == 0)
                        current = Fit(w, Enumerable.Range(c, Math.Min(GroupSize, n - c)), perm);
                }
                for (var r = 0; r < rows; r++)
                {
                    var (scale, zero) = current![r];
                    var exact = w1[r, i] / scale;
                    var kept = Mask is null || Mask[r, perm[c]];
                    var code = kept ? (int)Math.Clamp(Math.Round(exact) + zero, 0, (1 << Bits) - 1) : (int)zero;
                    var q = scale * (code - zero);
                    codes[r, perm[c]] = code;
                    decoded[r, perm[c]] = q;
                    TieDistance[r, perm[c]] = kept ? Math.Abs(exact - Math.Floor(exact) - 0.5) : 1;
                    Loss += (w1[r, i] - q) * (w1[r, i] - q) / (u[c, c] * u[c, c]) / 2;
                    var e = (w1[r, i] - q) / u[c, c];
                    for (var j = i; j < i2 - i1; j++) w1[r, j] -= e * u[c, i1 + j];
                    err[r, i] = e;
                }
            }
            if (i2 == n) break;
            var rest = w.SubMatrix(0, rows, i2, n - i2) - err * u.SubMatrix(i1, i2 - i1, i2, n - i2);
            w.SetSubMatrix(0, i2, rest);
        }
        return (codes, decoded);
    }

    /// <summary>Scale and zero of each row; removed weights count as zero.</summary>
    public (double Scale, double Zero)[] Fit(Matrix<double> w, IEnumerable<int> columns, int[]? perm = null)
    {
        var list = columns.ToList();
        var result = new (double, double)[w.RowCount];
        for (var r = 0; r < w.RowCount; r++)
        {
            var x = list.Select(c => Mask is null || Mask[r, perm?[c] ?? c] ? w[r, c] : 0).ToArray();
            var (min, max) = (Math.Min(x.Min(), 0), Math.Max(x.Max(), 0));
            if (Symmetric) (min, max) = (-Math.Max(-min, max), Math.Max(-min, max));
            if (min == 0 && max == 0) (min, max) = (-1, 1);
            result[r] = Parameters(min, max);
            if (!Mse && !Importance) continue;
            var counts = list.Select(c => moments[perm?[c] ?? c]).ToArray();
            var best = double.PositiveInfinity;
            for (var i = 0; i < 80; i++)
            {
                var p = 1 - i / 100.0;
                var (scale, zero) = Parameters(p * min, p * max);
                var error = x.Select(v => Math.Abs(v - scale * (Math.Clamp(Math.Round(v / scale) + zero, 0, (1 << Bits) - 1) - zero)))
                    .Select((e, k) => Importance ? counts[k] * e * e : Math.Pow(e, 2.4)).Sum();
                if (error >= best) continue;
                best = error;
                result[r] = (scale, zero);
            }
        }
        return result;
    }

    private (double Scale, double Zero) Parameters(double min, double max)
    {
        var maxq = (1 << Bits) - 1;
        var scale = Stored((max - min) / maxq);
        return (scale, Symmetric ? (maxq + 1) / 2 : Math.Clamp(Math.Round(-min / scale), 0, maxq));
    }
}
