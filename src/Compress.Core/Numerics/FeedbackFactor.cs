namespace Compress.Core.Numerics;

/// <summary>How a factorisation went: data for the run directory.</summary>
/// <param name="Rung">How far the ladder had to be climbed.</param>
/// <param name="Damping">What was added to the diagonal, as a share of its mean.</param>
/// <param name="DeadColumns">Inputs that were always zero.</param>
public sealed record FactorReport(Methods.Rung Rung, double Damping, int DeadColumns);

/// <summary>
/// <c>H = (I+F)·diag(d)²·(I+F)ᵀ</c> with F strictly upper triangular, rows and columns of H in the order in which weights are fixed.
/// F says how an error made at one input is made good at later ones: with <c>e_k = w_k − q_k</c> of the inputs that are fixed,
/// <c>w_j + Σ_{k&lt;j} e_k F[k][j]</c> is the best value of input j.
/// </summary>
/// <remarks>
/// <para>This is GPTQ's and SparseGPT's update without an inverse. They take <c>U</c>, upper triangular, from <c>H⁻¹ = UᵀU</c> and
/// subtract <c>(w̃_k − q_k)/U_kk · U_kj</c>, where w̃ is the weight as updated so far; <c>(I+F)⁻¹ = diag(U)⁻¹U</c> and <c>d = 1/diag(U)</c>
/// turn one form into the other (Chee et al. 2023, arXiv:2307.13304, theorem 6). Factorising H from its last row and column to its first
/// gives I+F at once: a third of the published work (Cholesky, inverse, Cholesky), and two roundings fewer.</para>
/// <para>F is kept in panels of 32 columns (<see cref="ColumnPanels"/>), each cut off below its last row that is not zero.</para>
/// </remarks>
public sealed unsafe class FeedbackFactor : IDisposable
{
    private const int Width = ProductKernel.PanelWidth;

    private readonly NativeBuffer panels;

    /// <summary>Takes the factor of the reversed matrix.</summary>
    /// <param name="reversed">G with <c>GᵀG</c> = H in reversed order; only its upper triangle is read.</param>
    /// <param name="order">The input fixed at each step.</param>
    /// <param name="dead">Whether each input (not step) was always zero.</param>
    /// <param name="report">How it was made.</param>
    internal FeedbackFactor(HostMatrix reversed, int[] order, bool[] dead, FactorReport report)
    {
        (Order, Dead, Report) = (order, dead, report);
        var n = order.Length;
        Diagonal = new float[n];
        for (var j = 0; j < n; j++) Diagonal[j] = reversed.Row(n - 1 - j)[n - 1 - j];
        var count = (n + Width - 1) / Width;
        panels = new NativeBuffer((long)Width * Width * count * (count + 1) / 2);
        Workers.For(count, (long)n * n / 4, panel => Fill(reversed, panel));
    }

    /// <summary>Inputs.</summary>
    public int Size => Order.Length;

    /// <summary>The input (original column) that is fixed at each step.</summary>
    public int[] Order { get; }

    /// <summary>For each input (not step), whether it was always zero in calibration; its weights do not matter.</summary>
    public bool[] Dead { get; }

    /// <summary>
    /// d: <c>d_j²</c> is the weight of a squared error at step j once the later inputs have made it good as far as they can.
    /// </summary>
    public float[] Diagonal { get; }

    /// <summary>How the factor was made.</summary>
    public FactorReport Report { get; }

    /// <summary>Column j of F from row 0 on, elements 32 apart; rows up to the last of the column's panel exist, zero from j on.</summary>
    public float* Column(int j)
    {
        long panel = j / Width;
        return panels.Data + Width * Width * (panel * (panel + 1) / 2) + j % Width;
    }

    /// <inheritdoc/>
    public void Dispose() => panels.Dispose();

    private void Fill(HostMatrix reversed, int panel)
    {
        var n = Size;
        var first = panel * Width;
        var columns = Math.Min(Width, n - first);
        var to = Column(first);
        new Span<float>(to, Width * (first + Width)).Clear();
        for (var c = 0; c < columns; c++)
        {
            var j = first + c;
            var row = reversed.Data + (long)(n - 1 - j) * n + (n - 1);
            var scale = 1 / Diagonal[j];
            for (var k = 0; k < j; k++) to[k * Width + c] = row[-k] * scale;
        }
    }
}
