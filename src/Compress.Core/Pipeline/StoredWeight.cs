using Compress.Core.Graph;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;
using static TorchSharp.torch;

namespace Compress.Core.Pipeline;

/// <summary>Puts weights <c>[out, in]</c> back to where the checkpoint stores them: whole, transposed, or as rows of a fused tensor.</summary>
internal static class StoredWeight
{
    /// <summary>A stored tensor with some of its weights replaced.</summary>
    /// <param name="source">Gives the parts that are not replaced.</param>
    /// <param name="name">The stored tensor's name.</param>
    /// <param name="parts">Where each new weight goes; weights borrowed, any float type.</param>
    /// <returns>A contiguous tensor of the stored type and shape, in the current dispose scope.</returns>
    public static Tensor Assemble(ITensorSource source, string name, IReadOnlyList<(WeightPart Part, Tensor Weight)> parts)
    {
        var info = source.Tensors[name];
        var type = TensorBridge.ScalarTypeOf(info.Type);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        if (parts is [{ Part.Rows: null } whole])
        {
            var weight = whole.Weight.to(type);
            return (whole.Part.Transposed ? weight.t() : weight).contiguous().cpu().MoveToOuterDisposeScope();
        }
        var stored = TensorBridge.Load(source.Open(name));
        foreach (var (part, weight) in parts)
        {
            var rows = TensorBridge.RowIndices(part.Rows!);
            var values = weight.to(type).cpu();
            if (part.Transposed) stored.index_copy_(1, rows, values.t());
            else stored.index_copy_(0, rows, values);
        }
        return stored.MoveToOuterDisposeScope();
    }

    /// <summary>The decode of a quantized weight, f32 <c>[rows, columns]</c> on the CPU, in the current dispose scope.</summary>
    public static unsafe Tensor Decode(GroupQuantizedWeight weight)
    {
        var result = empty(weight.Rows, weight.Columns, ScalarType.Float32);
        var data = (nint)Data(result);
        Parallel.For(0, weight.Rows, row =>
            weight.DecodeRow(row, new Span<float>((float*)data + ((long)row * weight.Columns), weight.Columns)));
        return result;
    }

    /// <summary>Where a contiguous CPU tensor's data begins; libtorch's memory does not move.</summary>
    private static unsafe byte* Data(Tensor tensor)
    {
        using var first = tensor.narrow(0, 0, Math.Min(1, tensor.shape[0]));
        fixed (byte* start = first.bytes) return start;
    }
}
