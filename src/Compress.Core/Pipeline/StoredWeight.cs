using Compress.Core.Graph;
using Compress.Core.Numerics;
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
    /// <param name="type">Type of the result.</param>
    /// <returns>A contiguous tensor of the stored shape on the CPU, in the current dispose scope.</returns>
    public static Tensor Assemble(ITensorSource source, string name, IReadOnlyList<(WeightPart Part, Tensor Weight)> parts, ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        if (parts is [{ Part.Rows: null } whole])
        {
            var weight = whole.Weight.to(type);
            return (whole.Part.Transposed ? weight.t() : weight).contiguous().cpu().MoveToOuterDisposeScope();
        }
        var stored = TensorBridge.Load(source.Open(name), type);
        foreach (var (part, weight) in parts)
        {
            var rows = TensorBridge.RowIndices(part.Rows!);
            var values = weight.to(type).cpu();
            if (part.Transposed) stored.index_copy_(1, rows, values.t());
            else stored.index_copy_(0, rows, values);
        }
        return stored.MoveToOuterDisposeScope();
    }

    /// <summary>The exact decode of an encoded weight, f32 <c>[rows, columns]</c> on the CPU, in the current dispose scope.</summary>
    public static Tensor Decode(EncodedWeight weight)
    {
        // Not disposed: its memory becomes the result.
        var matrix = HostMatrix.Empty(weight.Rows, weight.Columns);
        Workers.For(weight.Rows, (long)weight.Rows * weight.Columns, row => weight.DecodeRow(row, matrix.Row(row)));
        return matrix.Release(CPU);
    }

    /// <summary>Copies a contiguous CPU tensor's bytes, piece by piece.</summary>
    /// <param name="tensor">Borrowed tensor.</param>
    /// <param name="write">Takes the next bytes.</param>
    public static void Pieces(Tensor tensor, PieceWriter write)
    {
        const long Piece = 1 << 24;
        using var flat = tensor.view(-1);
        for (long at = 0; at < flat.numel(); at += Piece)
        {
            using var slice = flat.narrow(0, at, Math.Min(Piece, flat.numel() - at));
            write(slice.bytes);
        }
    }

    /// <summary>Takes bytes.</summary>
    internal delegate void PieceWriter(ReadOnlySpan<byte> bytes);
}
