using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Compress.Runtime.Kernels.Panels;

/// <summary>Panel products in intrinsics: AVX-512 BW, AVX2 or portable vectors, whichever the compiler finds.</summary>
internal static unsafe class PanelFallback
{
    /// <summary>As <see cref="PanelKernels.Run"/>.</summary>
    [SkipLocalsInit]
    public static void Run(in PanelShape shape, PanelCall* call)
    {
        var unpacked = stackalloc byte[CodePlanes.UnpackedBytes];
        float* scales = call->Scales, offsets = call->Offsets, xSums = call->XSums;
        for (var b = 0; b < call->Blocks; b++)
        {
            var codes = call->Codes + (nint)b * CodePlanes.BlockBytes(shape.Bits);
            if (shape.Bits < 8)
            {
                CodePlanes.Unpack(codes, shape.Bits, 1, unpacked);
                if (shape.Lookup) LookUp(unpacked, call->Table);
                codes = unpacked;
            }
            var steps = CodePlanes.Steps / shape.Groups;
            for (var g = 0; g < shape.Groups; g++)
            {
                Vector512<float> scale = Vector512.Load(scales), offset = Vector512.Load(offsets);
                for (var t = 0; t < shape.Tokens; t++)
                {
                    var x = call->X + (((nint)b * CodePlanes.Steps + g * steps) * shape.Tokens + t) * 4;
                    var dot = Vector512.ConvertToSingle(Dot(codes + 64 * g * steps, x, shape.Tokens * 4, steps));
                    var sum = Vector512.FusedMultiplyAdd(dot, scale * call->XScales[b * shape.Tokens + t], Vector512.Load(call->Y + 16 * t));
                    Vector512.FusedMultiplyAdd(offset, Vector512.Create(xSums[t]), sum).Store(call->Y + 16 * t);
                }
                scales += 16;
                offsets += 16;
                xSums += shape.Tokens;
            }
        }
    }

    private static void LookUp(byte* codes, byte* table)
    {
        for (var i = 0; i < CodePlanes.UnpackedBytes; i++) codes[i] = table[codes[i]];
    }

    /// <summary>Sixteen rows' sums of unsigned codes times signed activations.</summary>
    private static Vector512<int> Dot(byte* codes, sbyte* x, int stride, int steps)
    {
        Vector512<int> low = default, high = default;
        for (var s = 0; s < steps; s++, x += stride)
        {
            var four = Vector512.Create(*(int*)x).AsSByte();
            var activations = Vector512.WidenLower(four);
            var code = Vector512.Load(codes + 64 * s);
            low += MultiplyAddAdjacent(Vector512.WidenLower(code).AsInt16(), activations);
            high += MultiplyAddAdjacent(Vector512.WidenUpper(code).AsInt16(), activations);
        }
        // Adjacent lanes hold the two halves of a row's four products.
        return Vector512.Create(AddPairs(low), AddPairs(high));
    }

    private static Vector256<int> AddPairs(Vector512<int> values)
    {
        var pairs = (values.AsInt64() + (values.AsInt64() >>> 32)) & Vector512.Create(0xffffffffL);
        return Vector256.Narrow(pairs.GetLower(), pairs.GetUpper()).AsInt32();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> MultiplyAddAdjacent(Vector512<short> a, Vector512<short> b)
    {
        if (Avx512BW.IsSupported) return Avx512BW.MultiplyAddAdjacent(a, b);
        if (Avx2.IsSupported)
            return Vector512.Create(Avx2.MultiplyAddAdjacent(a.GetLower(), b.GetLower()), Avx2.MultiplyAddAdjacent(a.GetUpper(), b.GetUpper()));
        Vector512<int> even = a.AsInt32() << 16 >> 16, odd = a.AsInt32() >> 16;
        return even * (b.AsInt32() << 16 >> 16) + odd * (b.AsInt32() >> 16);
    }
}
