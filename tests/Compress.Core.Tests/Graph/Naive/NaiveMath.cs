namespace Compress.Core.Tests.Graph.Naive;

/// <summary>Plain loops in double, written from the published definitions.</summary>
internal static class NaiveMath
{
    /// <summary><c>y = x Wᵀ + b</c>; <paramref name="weight"/> is row-major <c>[out, in]</c>.</summary>
    public static double[][] Linear(double[][] x, double[] weight, double[]? bias)
    {
        var width = x[0].Length;
        var rows = weight.Length / width;
        var y = new double[x.Length][];
        for (var t = 0; t < x.Length; t++)
        {
            y[t] = new double[rows];
            for (var r = 0; r < rows; r++)
            {
                var sum = bias?[r] ?? 0;
                for (var c = 0; c < width; c++) sum += x[t][c] * weight[r * width + c];
                y[t][r] = sum;
            }
        }
        return y;
    }

    /// <summary>Conv1D: <c>y = x W + b</c>; <paramref name="weight"/> is row-major <c>[in, out]</c>.</summary>
    public static double[][] Conv1D(double[][] x, double[] weight, double[] bias)
    {
        var outputs = bias.Length;
        return [.. x.Select(row => bias.Select((b, o) => b + row.Select((v, i) => v * weight[i * outputs + o]).Sum()).ToArray())];
    }

    public static double[][] RmsNorm(double[][] x, double[] weight, double epsilon, double offset = 0) =>
        [.. x.Select(row => RmsNorm(row, weight, epsilon, offset))];

    public static double[] RmsNorm(double[] row, double[] weight, double epsilon, double offset = 0)
    {
        var meanSquare = row.Sum(v => v * v) / row.Length;
        return [.. row.Select((v, i) => v / Math.Sqrt(meanSquare + epsilon) * (weight[i] + offset))];
    }

    public static double[][] LayerNorm(double[][] x, double[] weight, double[] bias, double epsilon) => [.. x.Select(row =>
    {
        var mean = row.Average();
        var variance = row.Sum(v => (v - mean) * (v - mean)) / row.Length;
        return row.Select((v, i) => (v - mean) / Math.Sqrt(variance + epsilon) * weight[i] + bias[i]).ToArray();
    })];

    /// <summary>Rotates the leading <c>2 · frequencies</c> dimensions of a head: pair (i, i + half).</summary>
    public static double[] Rotate(double[] head, int position, double[] frequencies, double factor = 1)
    {
        var half = frequencies.Length;
        var turned = (double[])head.Clone();
        for (var i = 0; i < half; i++)
        {
            var (sin, cos) = Math.SinCos(position * frequencies[i]);
            turned[i] = (head[i] * cos - head[i + half] * sin) * factor;
            turned[i + half] = (head[i + half] * cos + head[i] * sin) * factor;
        }
        return turned;
    }

    public static double[] Frequencies(double theta, int dimensions) =>
        [.. Enumerable.Range(0, dimensions / 2).Select(i => 1 / Math.Pow(theta, 2.0 * i / dimensions))];

    /// <summary>Attention of one query head: rows are positions.</summary>
    public static double[][] Attend(double[][] q, double[][] k, double[][] v, double scale, int? window = null, double? softCap = null)
    {
        var mixed = new double[q.Length][];
        for (var t = 0; t < q.Length; t++)
        {
            var first = window is { } w ? Math.Max(0, t - w + 1) : 0;
            var scores = new double[t + 1];
            for (var s = first; s <= t; s++)
            {
                scores[s] = q[t].Zip(k[s], (a, b) => a * b).Sum() * scale;
                if (softCap is { } cap) scores[s] = cap * Math.Tanh(scores[s] / cap);
            }
            var top = scores[first..].Max();
            var total = scores[first..].Sum(x => Math.Exp(x - top));
            mixed[t] = new double[v[0].Length];
            for (var s = first; s <= t; s++)
            {
                for (var d = 0; d < mixed[t].Length; d++) mixed[t][d] += Math.Exp(scores[s] - top) / total * v[s][d];
            }
        }
        return mixed;
    }

    /// <summary>Columns of one head.</summary>
    public static double[][] Head(double[][] x, int head, int size) => [.. x.Select(row => row[(head * size)..((head + 1) * size)])];

    /// <summary>Heads side by side.</summary>
    public static double[][] Join(IReadOnlyList<double[][]> heads) =>
        [.. Enumerable.Range(0, heads[0].Length).Select(t => heads.SelectMany(h => h[t]).ToArray())];

    public static double[][] Add(double[][] a, double[][] b) => [.. a.Zip(b, (x, y) => x.Zip(y, (p, q) => p + q).ToArray())];

    public static double[][] Map(double[][] x, Func<double, double> f) => [.. x.Select(row => row.Select(f).ToArray())];

    public static double[][] Multiply(double[][] a, double[][] b) => [.. a.Zip(b, (x, y) => x.Zip(y, (p, q) => p * q).ToArray())];

    public static double Silu(double x) => x / (1 + Math.Exp(-x));

    public static double Relu(double x) => Math.Max(x, 0);

    public static double GeluTanh(double x) => 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));

    /// <summary>GELU with the error function, by numerical integration of the normal density.</summary>
    public static double Gelu(double x)
    {
        const int Steps = 2000;
        // Simpson's rule on [0, x]; the density is smooth, so the error is far below single precision.
        var h = x / Steps;
        var sum = Density(0) + Density(x);
        for (var i = 1; i < Steps; i++) sum += Density(i * h) * (i % 2 == 1 ? 4 : 2);
        return x * (0.5 + sum * h / 3);

        static double Density(double z) => Math.Exp(-z * z / 2) / Math.Sqrt(2 * Math.PI);
    }
}
