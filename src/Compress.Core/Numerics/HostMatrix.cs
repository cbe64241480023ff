using TorchSharp;
using static TorchSharp.torch;

namespace Compress.Core.Numerics;

/// <summary>
/// A row-major f32 matrix in the machine's memory, seen through spans: a tensor's own memory where it already is there, a copy otherwise.
/// </summary>
/// <remarks>Unlike a span it can be captured by parallel loops, and a row is addressed with 64 bits.</remarks>
public sealed unsafe class HostMatrix : IDisposable
{
    private readonly Tensor? owned;
    private readonly Tensor tensor;
    private readonly float* data;

    private HostMatrix(Tensor tensor, Tensor? owned)
    {
        this.tensor = tensor;
        this.owned = owned;
        Rows = checked((int)tensor.shape[0]);
        Columns = checked((int)tensor.shape[1]);
        using var first = tensor.narrow(0, 0, Math.Min(1, Rows));
        fixed (byte* start = first.bytes) data = (float*)start;
    }

    /// <summary>Number of rows.</summary>
    public int Rows { get; }

    /// <summary>Number of columns.</summary>
    public int Columns { get; }

    /// <summary>First element; rows follow one another without gaps.</summary>
    public float* Data => data;

    /// <summary>Sees a matrix; it must stay alive, and is written through only if it is f32, contiguous and on the CPU.</summary>
    /// <param name="matrix">Borrowed <c>[rows, columns]</c>, any type and device.</param>
    public static HostMatrix Of(Tensor matrix)
    {
        if (matrix.device_type == DeviceType.CPU && matrix.dtype == ScalarType.Float32 && matrix.is_contiguous())
            return new HostMatrix(matrix, null);
        using var there = matrix.to(ScalarType.Float32, CPU);
        var copy = there.contiguous();
        return new HostMatrix(copy, copy);
    }

    /// <summary>A new matrix of undefined content.</summary>
    public static HostMatrix Empty(int rows, int columns)
    {
        var fresh = empty(rows, columns, ScalarType.Float32, CPU);
        return new HostMatrix(fresh, fresh);
    }

    /// <summary>One row.</summary>
    public Span<float> Row(int row) => new(data + (long)row * Columns, Columns);

    /// <summary>Gives the matrix away as a tensor on a device; the host view must not be used afterwards.</summary>
    /// <returns>An owned tensor.</returns>
    /// <exception cref="InvalidOperationException">The view borrowed its memory.</exception>
    public Tensor Release(Device device)
    {
        var result = owned ?? throw new InvalidOperationException("a borrowed matrix cannot be given away");
        if (device.type == DeviceType.CPU) return result;
        using (result) return result.to(device);
    }

    /// <inheritdoc/>
    public void Dispose() => owned?.Dispose();
}
