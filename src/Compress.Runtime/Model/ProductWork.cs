using Compress.Runtime.Kernels.Panels;
using Compress.Runtime.Threading;

namespace Compress.Runtime.Model;

/// <summary>Products of one input with up to three weights (q, k, v; gate, up), split by rows over the workers.</summary>
internal sealed unsafe class ProductWork : IParallelWork, IDisposable
{
    /// <summary>Rows of a part of a weight without panels: few, so that a delayed worker holds the others up little.</summary>
    private const int RowsOfPart = 32;

    /// <summary>Most bytes of weights in a part of a vector product: long runs keep the memory bus busier.</summary>
    private const int BytesOfPart = 1 << 18;

    private readonly (Linear Linear, nint Y, int Stride, int FirstPart, int PartRows)[] outputs = new (Linear, nint, int, int, int)[3];
    private readonly Scratch scratch;
    private readonly int scratchFloats;
    private readonly QuantizedInput quantized;
    private readonly Quantization quantization;
    private readonly int workers;
    private int count;
    private int parts;
    private int first;
    private int last;
    private float* x;
    private int xStride;
    private int tokens;

    /// <param name="workers">Threads of the pool.</param>
    /// <param name="widest">Columns of the widest weight, padded to 32.</param>
    /// <param name="batch">Most tokens.</param>
    public ProductWork(int workers, int widest, int batch)
    {
        this.workers = workers;
        scratchFloats = Math.Max(4 * widest, (PackedMatrix.ScratchFloats(widest) + 15) / 16 * 16);
        scratch = new Scratch((long)workers * scratchFloats);
        quantized = new QuantizedInput(batch, widest);
        quantization = new Quantization(quantized);
    }

    /// <summary>Sets the input, <c>[tokens, stride]</c>.</summary>
    public void Begin(float* input, int stride, int tokenCount)
    {
        x = input;
        (xStride, tokens, count) = (stride, tokenCount, 0);
    }

    /// <summary>Adds a weight whose outputs go to <c>y [tokens, stride]</c>.</summary>
    public void Add(Linear linear, float* y, int stride)
    {
        var rows = RowsOfPart;
        if (linear.Panels is { } panels)
            rows = CodePlanes.Rows * (tokens == 1 ? (int)Math.Clamp(panels.Panels / (4 * workers), 1, Math.Max(1, BytesOfPart / panels.PanelBytes)) : 1);
        outputs[count++] = (linear, (nint)y, stride, 0, rows);
    }

    /// <summary>Multiplies; weights that take the input in the same order run as one piece of work.</summary>
    public void Run(WorkerPool pool)
    {
        for (last = 0; last < count;)
        {
            (first, parts) = (last, 0);
            var order = outputs[first].Linear.Panels?.InputOrder;
            var columns = 0;
            for (; last < count && Same(order, outputs[last].Linear.Panels?.InputOrder); last++)
            {
                ref var output = ref outputs[last];
                output.FirstPart = parts;
                parts += (output.Linear.Weight.Rows + output.PartRows - 1) / output.PartRows;
                columns = Math.Max(columns, output.Linear.Panels?.Columns ?? 0);
            }
            if (columns > 0)
            {
                quantized.Begin(tokens, columns);
                quantization.Run(pool, x, xStride, order);
            }
            pool.Run(this, parts);
        }
    }

    public void Run(int part, int worker)
    {
        var which = last - 1;
        while (outputs[which].FirstPart > part) which--;
        var (linear, address, stride, firstPart, rows) = outputs[which];
        var weight = linear.Weight;
        var y = (float*)address;
        var space = scratch.Floats + (nint)worker * scratchFloats;
        int from = (part - firstPart) * rows, to = Math.Min(from + rows, weight.Rows);
        if (linear.Panels is { } panels)
        {
            panels.Multiply(quantized, from / CodePlanes.Rows, (to + CodePlanes.Rows - 1) / CodePlanes.Rows, y, stride, linear.Bias, space);
            return;
        }
        if (tokens == 1) weight.Kernel.Vector(weight.Data, weight.PaddedColumns, x, y, from, to);
        else weight.Kernel.Matrix(weight.Data, weight.PaddedColumns, x, xStride, tokens, y, stride, from, to, space);
        if (linear.Bias is not { } bias) return;
        for (var t = 0; t < tokens; t++)
        {
            for (var r = from; r < to; r++) y[(nint)t * stride + r] += bias[r];
        }
    }

    public void Dispose()
    {
        scratch.Dispose();
        quantized.Dispose();
    }

    private static bool Same(int[]? a, int[]? b) => ReferenceEquals(a, b) || a is not null && b is not null && a.AsSpan().SequenceEqual(b);

    private sealed class Quantization(QuantizedInput input) : IParallelWork
    {
        private float* x;
        private nint stride;
        private int[]? order;

        public void Run(WorkerPool pool, float* from, nint rowStride, int[]? inputOrder)
        {
            x = from;
            (stride, order) = (rowStride, inputOrder);
            pool.Run(this, input.Tiles);
        }

        public void Run(int part, int worker) => input.Quantize(x, stride, part, order);
    }
}
