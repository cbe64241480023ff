using System.Runtime.Intrinsics;

namespace Compress.Runtime.Kernels.Panels;

/// <summary>A weight <c>[rows, columns]</c> laid out in panels of sixteen rows for products with 8-bit activations.</summary>
internal abstract unsafe class PackedMatrix
{
    protected PackedMatrix(int rows, int columns)
    {
        (Rows, Columns) = (rows, columns);
        Blocks = columns / CodePlanes.BlockColumns;
        Panels = (rows + CodePlanes.Rows - 1) / CodePlanes.Rows;
    }

    /// <summary>Rows.</summary>
    public int Rows { get; }

    /// <summary>Columns, a multiple of 32.</summary>
    public int Columns { get; }

    /// <summary>Panels of sixteen rows, the last filled up with zeros.</summary>
    public int Panels { get; }

    /// <summary>Bytes that one pass over the weight reads.</summary>
    public abstract long Bytes { get; }

    /// <summary>What products read, in words.</summary>
    public virtual string Use => "from codes";

    /// <summary>Which input each column takes (activation order), −1 for none; null for the natural order.</summary>
    public int[]? InputOrder { get; protected init; }

    /// <summary>Bytes of a panel, on average.</summary>
    public nint PanelBytes => (nint)(Bytes / Panels);

    /// <summary>Blocks of 32 columns.</summary>
    protected int Blocks { get; }

    /// <summary>Floats of scratch that <see cref="Multiply"/> needs for weights of up to <paramref name="columns"/> columns.</summary>
    public static int ScratchFloats(int columns) =>
        16 * QuantizedInput.Tile + columns / 16 * 32 + CodePlanes.Rows * columns / 4 + CodePlanes.Rows * PanelFormat.ChunkBlocks * CodePlanes.BlockColumns / 4 + 64;

    /// <summary><c>Y[t,r] = Σ_c W[r,c] X[t,c] + bias[r]</c> for a range of panels.</summary>
    /// <param name="x">The activations.</param>
    /// <param name="from">First panel.</param>
    /// <param name="to">One past the last panel.</param>
    /// <param name="y">Outputs <c>[tokens, stride]</c>.</param>
    /// <param name="stride">Floats from one token's outputs to the next.</param>
    /// <param name="bias">Bias, or null.</param>
    /// <param name="scratch">As many floats as <see cref="ScratchFloats"/> says, aligned to 64 bytes.</param>
    public abstract void Multiply(QuantizedInput x, int from, int to, float* y, nint stride, float[]? bias, float* scratch);

    /// <summary>Multiplies a panel of 8-bit codes by all tokens.</summary>
    /// <param name="call">Codes, scales and offsets of the whole panel; <c>Y</c> is scratch.</param>
    /// <param name="groups">Groups of a block.</param>
    /// <param name="panel">Which panel.</param>
    /// <param name="x">The activations.</param>
    /// <param name="y">Outputs.</param>
    /// <param name="stride">Floats from one token's outputs to the next.</param>
    /// <param name="bias">Bias, or null.</param>
    protected void MultiplyUnpacked(ref PanelCall call, int groups, int panel, QuantizedInput x, float* y, nint stride, float[]? bias)
    {
        for (var tile = 0; tile < x.Tiles; tile++)
        {
            var width = x.Width(tile);
            new Span<float>(call.Y, 16 * width).Clear();
            x.Describe(ref call, tile, 0, groups);
            fixed (PanelCall* address = &call) PanelKernels.Run(new PanelShape(8, groups, width), address);
            Store(panel, tile * QuantizedInput.Tile, width, call.Y, y, stride, bias);
        }
    }

    /// <summary>Stores a panel's sums <c>[tokens, 16]</c>.</summary>
    protected void Store(int panel, int token, int tokens, float* sums, float* y, nint stride, float[]? bias)
    {
        var first = panel * CodePlanes.Rows;
        var rows = Math.Min(CodePlanes.Rows, Rows - first);
        for (var t = 0; t < tokens; t++)
        {
            var to = y + (token + t) * stride + first;
            if (rows == CodePlanes.Rows && bias is null)
            {
                Vector512.Load(sums + 16 * t).Store(to);
                continue;
            }
            for (var r = 0; r < rows; r++) to[r] = sums[16 * t + r] + (bias is null ? 0 : bias[first + r]);
        }
    }
}
