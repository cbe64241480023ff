using System.Runtime.Intrinsics;

namespace Compress.Runtime.Kernels;

/// <summary>
/// How rows of one weight encoding become floats, 32 at a time. The loops over rows and tokens are written once, generic over the codec;
/// the just-in-time compiler makes a kernel of each pair.
/// </summary>
/// <remarks>
/// <see cref="Vector512{T}"/> code runs on AVX-512 as it stands and is split by the compiler into AVX2 or Arm halves elsewhere, so one
/// source serves all; the exact decode in Compress.Formats is the reference that each codec is tested against.
/// </remarks>
internal unsafe interface IWeightCodec
{
    /// <summary>Bytes of a row of <paramref name="columns"/> weights, a multiple of 32.</summary>
    static abstract nint RowBytes(int columns);

    /// <summary>Decodes weights <c>32·group … 32·group + 31</c> of a row.</summary>
    /// <param name="row">First byte of the row.</param>
    /// <param name="group">Which 32 weights.</param>
    /// <param name="low">Weights 0 … 15 of the group.</param>
    /// <param name="high">Weights 16 … 31 of the group.</param>
    static abstract void Decode(byte* row, nint group, out Vector512<float> low, out Vector512<float> high);
}
