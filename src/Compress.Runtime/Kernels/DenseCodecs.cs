using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Compress.Runtime.Kernels;

/// <summary>IEEE single.</summary>
internal readonly unsafe struct F32Codec : IWeightCodec
{
    public static nint RowBytes(int columns) => 4 * (nint)columns;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode(byte* row, nint group, out Vector512<float> low, out Vector512<float> high)
    {
        var at = (float*)row + 32 * group;
        low = Vector512.Load(at);
        high = Vector512.Load(at + 16);
    }
}

/// <summary>IEEE half.</summary>
internal readonly unsafe struct F16Codec : IWeightCodec
{
    public static nint RowBytes(int columns) => 2 * (nint)columns;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode(byte* row, nint group, out Vector512<float> low, out Vector512<float> high)
    {
        var at = (ushort*)row + 32 * group;
        low = Widen.Half(Vector256.Load(at));
        high = Widen.Half(Vector256.Load(at + 16));
    }
}

/// <summary>bfloat16.</summary>
internal readonly unsafe struct BF16Codec : IWeightCodec
{
    public static nint RowBytes(int columns) => 2 * (nint)columns;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode(byte* row, nint group, out Vector512<float> low, out Vector512<float> high)
    {
        var at = (ushort*)row + 32 * group;
        low = Widen.BFloat16(Vector256.Load(at));
        high = Widen.BFloat16(Vector256.Load(at + 16));
    }
}
