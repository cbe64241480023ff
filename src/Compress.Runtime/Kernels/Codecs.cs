using System.Collections.Frozen;
using Compress.Formats.Gguf;

namespace Compress.Runtime.Kernels;

/// <summary>The kernels of one encoding, behind one virtual call for each range of rows.</summary>
internal abstract unsafe class Kernel
{
    /// <inheritdoc cref="IWeightCodec.RowBytes"/>
    public abstract nint RowBytes(int columns);

    /// <inheritdoc cref="Product.Vector{TCodec}"/>
    public abstract void Vector(byte* weights, int columns, float* x, float* y, int from, int to);

    /// <inheritdoc cref="Product.Matrix{TCodec}"/>
    public abstract void Matrix(byte* weights, int columns, float* x, nint xStride, int tokens, float* y, nint stride, int from, int to, float* panel);

    /// <summary>Decodes rows <paramref name="from"/> … <paramref name="to"/> − 1 to floats (embedding look-up).</summary>
    public abstract void DecodeRows(byte* weights, int columns, int from, int to, float* destination);
}

/// <summary>Which kernel serves which storage type.</summary>
internal static class Codecs
{
    private static readonly FrozenDictionary<GgmlType, Kernel> ByType = new Dictionary<GgmlType, Kernel>
    {
        [GgmlType.F32] = new Kernel<F32Codec>(),
        [GgmlType.F16] = new Kernel<F16Codec>(),
        [GgmlType.BF16] = new Kernel<BF16Codec>(),
        [GgmlType.Q4_0] = new Kernel<Q40Codec>(),
        [GgmlType.Q4_1] = new Kernel<Q41Codec>(),
        [GgmlType.Q5_0] = new Kernel<Q50Codec>(),
        [GgmlType.Q5_1] = new Kernel<Q51Codec>(),
        [GgmlType.Q8_0] = new Kernel<Q80Codec>(),
        [GgmlType.Q2_K] = new Kernel<Q2KCodec>(),
        [GgmlType.Q3_K] = new Kernel<Q3KCodec>(),
        [GgmlType.Q4_K] = new Kernel<Q4KCodec>(),
        [GgmlType.Q5_K] = new Kernel<Q5KCodec>(),
        [GgmlType.Q6_K] = new Kernel<Q6KCodec>(),
        [GgmlType.IQ4_NL] = new Kernel<Iq4NlCodec>(),
        [GgmlType.IQ4_XS] = new Kernel<Iq4XsCodec>(),
    }.ToFrozenDictionary();

    /// <summary>The kernel of a storage type.</summary>
    public static Kernel For(GgmlType type) => ByType[type];

    private sealed unsafe class Kernel<TCodec> : Kernel where TCodec : IWeightCodec
    {
        public override nint RowBytes(int columns) => TCodec.RowBytes(columns);

        public override void Vector(byte* weights, int columns, float* x, float* y, int from, int to) =>
            Product.Vector<TCodec>(weights, columns, x, y, from, to);

        public override void Matrix(byte* weights, int columns, float* x, nint xStride, int tokens, float* y, nint stride, int from, int to, float* panel) =>
            Product.Matrix<TCodec>(weights, columns, x, xStride, tokens, y, stride, from, to, panel);

        public override void DecodeRows(byte* weights, int columns, int from, int to, float* destination)
        {
            var rowBytes = TCodec.RowBytes(columns);
            for (var r = from; r < to; r++)
            {
                for (nint g = 0; g < columns / 32; g++, destination += 32)
                {
                    TCodec.Decode(weights + r * rowBytes, g, out var low, out var high);
                    System.Runtime.Intrinsics.Vector512.Store(low, destination);
                    System.Runtime.Intrinsics.Vector512.Store(high, destination + 16);
                }
            }
        }
    }
}
