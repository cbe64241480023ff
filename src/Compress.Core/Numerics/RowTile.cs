using System.Numerics;

namespace Compress.Core.Numerics;

/// <summary>
/// Some rows of a weight while they are compressed column after column: transposed, so that one vector holds the same column of several
/// rows, in panels of 32 rows.
/// </summary>
/// <remarks>
/// Rows do not influence one another, so each worker takes a tile of its own through all columns and no one waits. Columns are counted
/// in steps (<see cref="FeedbackFactor.Order"/>). Updates are lazy: a column is brought up to date shortly before it is fixed, by one
/// product with all errors so far (<see cref="ProductKernel"/>), so the trailing matrix is not written once for each block.
/// </remarks>
public sealed unsafe class RowTile : IDisposable
{
    /// <summary>Rows of a panel, which vectors run over.</summary>
    public const int PanelRows = ProductKernel.PanelWidth;

    /// <summary>Panels of a tile: the more, the less often the factor is read from memory; the fewer, the less cache is needed.</summary>
    private const int Panels = 4;

    /// <summary>Steps that the kernel updates at a time.</summary>
    private const int Together = ProductKernel.TileRows;

    /// <summary>Terms summed before a column is touched again; both operands' parts stay in the first-level cache.</summary>
    private const int Depth = 128;

    private readonly NativeBuffer weights;
    private readonly NativeBuffer errors;
    private NativeBuffer? foreseen;

    /// <summary>Allocates a tile.</summary>
    /// <param name="steps">Columns.</param>
    public RowTile(int steps)
    {
        Steps = steps;
        weights = new NativeBuffer((long)Panels * PanelRows * steps);
        errors = new NativeBuffer((long)Panels * PanelRows * steps);
    }

    /// <summary>Most rows that a tile holds.</summary>
    public static int Rows => Panels * PanelRows;

    /// <summary>Columns.</summary>
    public int Steps { get; }

    /// <summary>Rows loaded.</summary>
    public int UsedRows { get; private set; }

    /// <summary>Panels in use.</summary>
    public int UsedPanels => (UsedRows + PanelRows - 1) / PanelRows;

    /// <summary>The 32 rows' weights at a step, with the updates so far.</summary>
    public float* Weight(int panel, int step) => weights.Data + ((long)panel * Steps + step) * PanelRows;

    /// <summary>The 32 rows' original weights at a step; where the step is done, their errors: original − compressed.</summary>
    public float* Error(int panel, int step) => errors.Data + ((long)panel * Steps + step) * PanelRows;

    /// <summary>Loads rows; rows beyond the last are zero.</summary>
    /// <param name="matrix">Row-major weight.</param>
    /// <param name="firstRow">First row of the tile.</param>
    /// <param name="order">Column of each step.</param>
    /// <returns>How many values are not finite; they are loaded as zero.</returns>
    public int Load(HostMatrix matrix, int firstRow, int[] order)
    {
        UsedRows = Math.Min(Rows, matrix.Rows - firstRow);
        var bad = 0;
        for (var panel = 0; panel < UsedPanels; panel++)
        {
            for (var lane = 0; lane < PanelRows; lane++)
            {
                var row = panel * PanelRows + lane;
                var to = Error(panel, 0) + lane;
                if (row >= UsedRows)
                {
                    for (var step = 0; step < Steps; step++) to[step * PanelRows] = 0;
                    continue;
                }
                var from = matrix.Row(firstRow + row);
                for (var step = 0; step < Steps; step++)
                {
                    var value = from[order[step]];
                    if (!float.IsFinite(value))
                    {
                        value = 0;
                        bad++;
                    }
                    to[step * PanelRows] = value;
                }
            }
            new Span<float>(Error(panel, 0), Steps * PanelRows).CopyTo(new Span<float>(Weight(panel, 0), Steps * PanelRows));
        }
        return bad;
    }

    /// <summary>Sets a column of every row to zero.</summary>
    public void Clear(int step)
    {
        for (var panel = 0; panel < UsedPanels; panel++)
        {
            new Span<float>(Weight(panel, step), PanelRows).Clear();
            new Span<float>(Error(panel, step), PanelRows).Clear();
        }
    }

    /// <summary>Adds to the weights of some steps what makes good the errors of others: <c>w_j += Σ_k e_k F[k][j]</c>.</summary>
    /// <param name="factor">F.</param>
    /// <param name="first">First step j.</param>
    /// <param name="last">Step after the last j.</param>
    /// <param name="from">First step k, done.</param>
    /// <param name="to">Step after the last k, done.</param>
    public void Update(FeedbackFactor factor, int first, int last, int from, int to)
    {
        for (var k = from; k < to; k += Depth)
        {
            var end = Math.Min(to, k + Depth);
            for (var panel = 0; panel < UsedPanels; panel++) Update(panel, factor, first, last, k, end);
        }
    }

    /// <summary>The same for one panel; meant for few steps k.</summary>
    /// <param name="panel">The panel.</param>
    /// <param name="factor">F.</param>
    /// <param name="first">First step j.</param>
    /// <param name="last">Step after the last j.</param>
    /// <param name="from">First step k, done.</param>
    /// <param name="to">Step after the last k, done.</param>
    public void Update(int panel, FeedbackFactor factor, int first, int last, int from, int to) =>
        Update(Error(panel, from), factor, first, last, from, to, Weight(panel, first));

    /// <summary>
    /// What the weights of some steps would become if nothing more were rounded: the best values that make good all errors before
    /// <paramref name="first"/>. This is what published code, which updates all later columns at once, holds in W at that moment.
    /// </summary>
    /// <remarks>The weights as updated so far lack what steps from <paramref name="first"/> on do for one another.</remarks>
    /// <param name="panel">The panel.</param>
    /// <param name="factor">F.</param>
    /// <param name="first">First step; it and those up to <paramref name="last"/> have seen all errors before it.</param>
    /// <param name="last">Step after the last one.</param>
    /// <returns>32 rows' values of one step after the other; valid until the next call.</returns>
    public float* Foresee(int panel, FeedbackFactor factor, int first, int last)
    {
        foreseen ??= new NativeBuffer(2L * Steps * PanelRows);
        var count = last - first;
        float* values = foreseen.Data, moves = foreseen.Data + (nint)count * PanelRows;
        new Span<float>(Weight(panel, first), count * PanelRows).CopyTo(new Span<float>(values, count * PanelRows));
        for (var from = first; from < last;)
        {
            var to = Math.Min(last, (from / Together + 1) * Together);
            Update(moves, factor, from, to, first, from, values + (nint)(from - first) * PanelRows);
            for (; from < to; from++)
            {
                var at = (nint)(from - first) * PanelRows;
                var original = Error(panel, from);
                for (var lane = 0; lane < PanelRows; lane += Vector<float>.Count)
                    (Vector.Load(original + lane) - Vector.Load(values + at + lane)).Store(moves + at + lane);
                Update(moves + at, factor, from + 1, to, from, from + 1, values + at + PanelRows);
            }
        }
        return values;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        weights.Dispose();
        errors.Dispose();
        foreseen?.Dispose();
    }

    /// <summary>The update itself, wherever errors and weights lie.</summary>
    /// <param name="errors">Errors of step <paramref name="from"/> and those after it.</param>
    /// <param name="factor">F.</param>
    /// <param name="first">First step j.</param>
    /// <param name="last">Step after the last j.</param>
    /// <param name="from">First step k.</param>
    /// <param name="to">Step after the last k.</param>
    /// <param name="weights">Weights of step <paramref name="first"/> and those after it.</param>
    private static void Update(float* errors, FeedbackFactor factor, int first, int last, int from, int to, float* weights)
    {
        for (var j = first; j < last;)
        {
            var next = Math.Min(last, (j / Together + 1) * Together);
            if (next - j == Together)
            {
                ProductKernel.Add(factor.Column(j) + (nint)from * PanelRows, errors, to - from, weights, PanelRows);
                j = next;
                weights += Together * PanelRows;
                continue;
            }
            for (; j < next; j++, weights += PanelRows) UpdateOne(errors, factor.Column(j) + (nint)from * PanelRows, to - from, weights);
        }
    }

    private static void UpdateOne(float* errors, float* f, int count, float* weight)
    {
        for (var lane = 0; lane < PanelRows; lane += Vector<float>.Count)
        {
            Vector<float> sum = default;
            for (var k = 0; k < count; k++)
                sum = Vector.FusedMultiplyAdd(new Vector<float>(f[k * PanelRows]), Vector.Load(errors + k * PanelRows + lane), sum);
            (Vector.Load(weight + lane) + sum).Store(weight + lane);
        }
    }
}
