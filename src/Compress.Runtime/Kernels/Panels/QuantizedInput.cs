using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Compress.Runtime.Kernels.Panels;

/// <summary>
/// Activations in 8 bits with a step for each token and 32 columns, laid out as the panel products read them: tiles of up to
/// <see cref="Tile"/> tokens, in each <c>[steps of 4 columns, tokens, 4]</c>.
/// </summary>
internal sealed unsafe class QuantizedInput : IDisposable
{
    /// <summary>Tokens of a tile: with one integer and one f32 sum each they fill the registers of AVX-512.</summary>
    public const int Tile = 12;

    private readonly Model.Scratch codes;
    private readonly Model.Scratch steps;
    private readonly Model.Scratch sums;
    private readonly Model.Scratch halfSums;

    /// <param name="tokens">Most tokens.</param>
    /// <param name="columns">Most columns, a multiple of 32.</param>
    public QuantizedInput(int tokens, int columns)
    {
        var all = (long)tokens * columns;
        codes = new Model.Scratch(all / 4);
        steps = new Model.Scratch(all / 32);
        sums = new Model.Scratch(all / 32);
        halfSums = new Model.Scratch(all / 16);
    }

    /// <summary>Tokens of the input at hand.</summary>
    public int Tokens { get; private set; }

    /// <summary>Its columns.</summary>
    public int Columns { get; private set; }

    /// <summary>Its tiles.</summary>
    public int Tiles => (Tokens + Tile - 1) / Tile;

    /// <summary>Sets the size; then each tile is to be quantized.</summary>
    public void Begin(int tokens, int columns) => (Tokens, Columns) = (tokens, columns);

    /// <summary>Tokens of a tile.</summary>
    public int Width(int tile) => Math.Min(Tile, Tokens - tile * Tile);

    /// <summary>Fills in what a product reads of a tile, from a block on.</summary>
    /// <param name="call">The call.</param>
    /// <param name="tile">Which tile.</param>
    /// <param name="block">First block of 32 columns.</param>
    /// <param name="groups">Groups of a block.</param>
    public void Describe(ref PanelCall call, int tile, int block, int groups)
    {
        int first = tile * Tile, width = Width(tile), blocks = Columns / 32;
        call.X = (sbyte*)codes.Floats + (nint)first * Columns + (nint)block * 32 * width;
        call.XScales = steps.Floats + (nint)first * blocks + (nint)block * width;
        call.XSums = (groups == 1 ? sums.Floats : halfSums.Floats) + ((nint)first * blocks + (nint)block * width) * groups;
    }

    /// <summary>Quantizes a tile's tokens.</summary>
    /// <param name="x">Activations <c>[tokens, stride]</c>, finite, zero beyond the weight's columns.</param>
    /// <param name="stride">Floats from token to token.</param>
    /// <param name="tile">Which tile.</param>
    /// <param name="order">Which activation each column takes, −1 for none; null for the natural order.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Quantize(float* x, nint stride, int tile, int[]? order = null)
    {
        var ordered = stackalloc float[CodePlanes.BlockColumns];
        PanelCall whole = default, halves = default;
        Describe(ref whole, tile, 0, 1);
        Describe(ref halves, tile, 0, 2);
        var width = Width(tile);
        for (var t = 0; t < width; t++)
        {
            var from = x + (tile * Tile + t) * stride;
            for (var b = 0; b < Columns / 32; b++)
            {
                var block = from + 32 * b;
                if (order is not null)
                {
                    for (var c = 0; c < 32; c++) ordered[c] = order[32 * b + c] is >= 0 and var input ? from[input] : 0;
                    block = ordered;
                }
                Vector512<float> low = Vector512.Load(block), high = Vector512.Load(block + 16);
                var largest = Largest(Vector512.Max(Vector512.Abs(low), Vector512.Abs(high)));
                var step = largest / 127;
                var inverse = Vector512.Create(largest == 0 ? 0 : 127 / largest);
                var first = Vector512.ConvertToInt32(Vector512.Round(low * inverse));
                var second = Vector512.ConvertToInt32(Vector512.Round(high * inverse));
                Place(first, second, (int*)whole.X + (nint)b * 8 * width + t, width);
                int sum = Vector512.Sum(first), rest = Vector512.Sum(second);
                whole.XScales[b * width + t] = step;
                whole.XSums[b * width + t] = step * (sum + rest);
                halves.XSums[2 * b * width + t] = step * sum;
                halves.XSums[(2 * b + 1) * width + t] = step * rest;
            }
        }
    }

    public void Dispose()
    {
        codes.Dispose();
        steps.Dispose();
        sums.Dispose();
        halfSums.Dispose();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Largest(Vector512<float> values)
    {
        var half = Vector256.Max(values.GetLower(), values.GetUpper());
        var quarter = Vector128.Max(half.GetLower(), half.GetUpper());
        return Math.Max(Math.Max(quarter[0], quarter[1]), Math.Max(quarter[2], quarter[3]));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Place(Vector512<int> first, Vector512<int> second, int* to, int width)
    {
        var bytes = Narrow(first, second).AsInt32();
        if (width == 1)
        {
            bytes.Store(to);
            return;
        }
        for (var s = 0; s < 8; s++) to[s * width] = bytes[s];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<sbyte> Narrow(Vector512<int> first, Vector512<int> second) => Vector256.Create(
        Vector128.Narrow(Vector128.Narrow(first.GetLower().GetLower(), first.GetLower().GetUpper()), Vector128.Narrow(first.GetUpper().GetLower(), first.GetUpper().GetUpper())),
        Vector128.Narrow(Vector128.Narrow(second.GetLower().GetLower(), second.GetLower().GetUpper()), Vector128.Narrow(second.GetUpper().GetLower(), second.GetUpper().GetUpper())));
}
