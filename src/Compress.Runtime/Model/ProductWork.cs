using Compress.Runtime.Threading;

namespace Compress.Runtime.Model;

/// <summary>Products of one input with up to three weights (q, k, v; gate, up), split by rows over the workers.</summary>
internal sealed unsafe class ProductWork : IParallelWork, IDisposable
{
    /// <summary>Rows of one part: small enough that a delayed worker holds the others up little, a multiple of the row tile.</summary>
    private const int RowsOfPart = 32;

    private readonly (Linear Linear, nint Y, int Stride, int FirstPart)[] outputs = new (Linear, nint, int, int)[3];
    private readonly Scratch panels;
    private readonly int panelFloats;
    private int count;
    private int parts;
    private float* x;
    private int xStride;
    private int tokens;

    /// <param name="workers">Threads of the pool.</param>
    /// <param name="widest">Columns of the widest weight, padded to 32.</param>
    public ProductWork(int workers, int widest)
    {
        panelFloats = 4 * widest;
        panels = new Scratch((long)workers * panelFloats);
    }

    /// <summary>Sets the input, <c>[tokens, stride]</c>.</summary>
    public void Begin(float* input, int stride, int tokenCount)
    {
        x = input;
        (xStride, tokens, count, parts) = (stride, tokenCount, 0, 0);
    }

    /// <summary>Adds a weight whose outputs go to <c>y [tokens, stride]</c>.</summary>
    public void Add(Linear linear, float* y, int stride)
    {
        outputs[count++] = (linear, (nint)y, stride, parts);
        parts += (linear.Weight.Rows + RowsOfPart - 1) / RowsOfPart;
    }

    public void Run(WorkerPool pool) => pool.Run(this, parts);

    public void Run(int part, int worker)
    {
        var which = count - 1;
        while (outputs[which].FirstPart > part) which--;
        var (linear, address, stride, first) = outputs[which];
        var weight = linear.Weight;
        var y = (float*)address;
        int from = (part - first) * RowsOfPart, to = Math.Min(from + RowsOfPart, weight.Rows);
        if (tokens == 1) weight.Kernel.Vector(weight.Data, weight.PaddedColumns, x, y, from, to);
        else
        {
            weight.Kernel.Matrix(
                weight.Data, weight.PaddedColumns, x, xStride, tokens, y, stride, from, to, panels.Floats + (nint)worker * panelFloats);
        }
        if (linear.Bias is not { } bias) return;
        for (var t = 0; t < tokens; t++)
        {
            for (var r = from; r < to; r++) y[(nint)t * stride + r] += bias[r];
        }
    }

    public void Dispose() => panels.Dispose();
}
