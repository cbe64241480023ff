using Compress.Formats;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>Copies between stored tensors and torch tensors; casts in slices, so that no second copy of a large tensor exists.</summary>
public static class TensorBridge
{
    /// <summary>Elements of one slice: large enough to hide call overhead, small enough to stay in cache.</summary>
    private const int Slice = 1 << 20;

    /// <summary>The torch type of a stored element type.</summary>
    /// <exception cref="ModelFileException">Torch has no such type.</exception>
    public static torch.ScalarType ScalarTypeOf(ElementType type) => type switch
    {
        ElementType.F32 => torch.ScalarType.Float32,
        ElementType.F16 => torch.ScalarType.Float16,
        ElementType.BF16 => torch.ScalarType.BFloat16,
        ElementType.F64 => torch.ScalarType.Float64,
        ElementType.I64 => torch.ScalarType.Int64,
        ElementType.I32 => torch.ScalarType.Int32,
        ElementType.I16 => torch.ScalarType.Int16,
        ElementType.I8 => torch.ScalarType.Int8,
        ElementType.U8 => torch.ScalarType.Byte,
        ElementType.Bool => torch.ScalarType.Bool,
        _ => throw new ModelFileException("checkpoint", $"elements of type {type} cannot become a torch tensor.",
            "Supported: F32, F16, BF16, F64, I64, I32, I16, I8, U8, Bool."),
    };

    /// <summary>The element type in which a torch type is stored.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The type has no place in a checkpoint.</exception>
    public static ElementType ElementTypeOf(torch.ScalarType type) => type switch
    {
        torch.ScalarType.Float32 => ElementType.F32,
        torch.ScalarType.Float16 => ElementType.F16,
        torch.ScalarType.BFloat16 => ElementType.BF16,
        torch.ScalarType.Float64 => ElementType.F64,
        torch.ScalarType.Int64 => ElementType.I64,
        torch.ScalarType.Int32 => ElementType.I32,
        torch.ScalarType.Int16 => ElementType.I16,
        torch.ScalarType.Int8 => ElementType.I8,
        torch.ScalarType.Byte => ElementType.U8,
        torch.ScalarType.Bool => ElementType.Bool,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "no stored element type corresponds"),
    };

    /// <summary>Copies a stored tensor into a new torch tensor.</summary>
    /// <param name="view">Stored tensor.</param>
    /// <param name="type">Type of the result; null for the stored type.</param>
    /// <param name="device">Where the result lies.</param>
    /// <returns>A tensor of the stored shape, in the current dispose scope.</returns>
    public static torch.Tensor Load(TensorView view, torch.ScalarType? type = null, torch.Device? device = null)
    {
        using var scope = torch.NewDisposeScope();
        var result = Read(view, type ?? ScalarTypeOf(view.Info.Type), [new Segment(0, view.Info.ElementCount)], view.Info.ElementCount);
        return Place(result, [.. view.Info.Shape], device).MoveToOuterDisposeScope();
    }

    /// <summary>Copies a weight that may be a part of a fused or transposed tensor.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="part">Where the weight lies.</param>
    /// <param name="outFeatures">Rows of the result.</param>
    /// <param name="inFeatures">Columns of the result; null for a bias.</param>
    /// <param name="type">Type of the result.</param>
    /// <param name="device">Where the result lies.</param>
    /// <returns>A contiguous tensor <c>[out, in]</c> (or <c>[out]</c>), in the current dispose scope.</returns>
    public static torch.Tensor Load(
        ITensorSource source, WeightPart part, long outFeatures, long? inFeatures, torch.ScalarType type, torch.Device device)
    {
        using var scope = torch.NewDisposeScope();
        var view = source.Open(part.Tensor);
        var columns = inFeatures ?? 1;
        long[] shape = inFeatures is null ? [outFeatures] : [outFeatures, columns];
        if (part.Transposed && inFeatures is not null)
        {
            var stored = Load(view, type);
            var rows = part.Rows is { } pattern ? stored.index_select(1, RowIndices(pattern)) : stored;
            return Place(rows.t().contiguous(), shape, device).MoveToOuterDisposeScope();
        }
        var runs = part.Rows is { } r
            ? Runs(r).Select(run => new Segment(run.First * columns, run.Count * columns))
            : [new Segment(0, outFeatures * columns)];
        return Place(Read(view, type, runs, outFeatures * columns), shape, device).MoveToOuterDisposeScope();
    }

    /// <summary>The tensor's data in an element type, little-endian and row-major.</summary>
    /// <param name="tensor">Borrowed tensor of at most 2 GiB in <paramref name="type"/>.</param>
    /// <param name="type">Element type of the bytes.</param>
    public static byte[] ToBytes(torch.Tensor tensor, ElementType type)
    {
        using var stream = new MemoryStream(checked((int)(tensor.numel() * ScalarTypeOf(type).ElementSize())));
        Write(tensor, type, stream);
        return stream.GetBuffer();
    }

    /// <summary>Writes the tensor's data in an element type, little-endian and row-major, slice by slice.</summary>
    /// <param name="tensor">Borrowed tensor.</param>
    /// <param name="type">Element type of the bytes.</param>
    /// <param name="destination">Where they go.</param>
    public static void Write(torch.Tensor tensor, ElementType type, Stream destination)
    {
        using var scope = torch.NewDisposeScope();
        using var _ = torch.no_grad();
        var flat = tensor.detach().contiguous().flatten();
        var target = ScalarTypeOf(type);
        for (long at = 0; at < flat.numel(); at += Slice)
        {
            using var inner = torch.NewDisposeScope();
            var slice = flat.narrow(0, at, Math.Min(Slice, flat.numel() - at)).to(target).cpu().contiguous();
            destination.Write(slice.bytes);
        }
    }

    /// <summary>The runs of consecutive rows that a pattern selects, in order.</summary>
    internal static IEnumerable<(long First, long Count)> Runs(RowPattern pattern)
    {
        long first = pattern.Start;
        for (long left = pattern.Count; left > 0; left -= pattern.Run, first += pattern.Stride)
        {
            yield return (first, Math.Min(pattern.Run, left));
        }
    }

    /// <summary>Row numbers that a pattern selects, int64, in the current dispose scope.</summary>
    internal static torch.Tensor RowIndices(RowPattern pattern) =>
        torch.cat([.. Runs(pattern).Select(r => torch.arange(r.First, r.First + r.Count, torch.ScalarType.Int64))]);

    private static torch.Tensor Read(TensorView view, torch.ScalarType type, IEnumerable<Segment> segments, long count)
    {
        using var scope = torch.NewDisposeScope();
        using var _ = torch.no_grad();
        var stored = ScalarTypeOf(view.Info.Type);
        var size = stored.ElementSize();
        var result = torch.empty([count], type);
        var buffer = stored == type ? null : torch.empty([Math.Min(Slice, count)], stored);
        long done = 0;
        foreach (var segment in segments)
        {
            for (long at = 0; at < segment.Count; at += Slice)
            {
                using var inner = torch.NewDisposeScope();
                var n = (int)Math.Min(Slice, segment.Count - at);
                var bytes = view.Bytes((segment.First + at) * size, n * size);
                var target = result.narrow(0, done, n);
                var landing = buffer is null ? target : buffer.narrow(0, 0, n);
                bytes.CopyTo(landing.bytes);
                if (buffer is not null) target.copy_(landing);
                done += n;
            }
        }
        return done == count
            ? result.MoveToOuterDisposeScope()
            : throw new InvalidOperationException($"{view.Info.Name}: the row pattern gives {done} elements, not {count}");
    }

    private static torch.Tensor Place(torch.Tensor flat, long[] shape, torch.Device? device)
    {
        var shaped = flat.shape.AsSpan().SequenceEqual(shape) ? flat : flat.reshape(shape);
        return device is null || device.type == DeviceType.CPU ? shaped : shaped.to(device);
    }

    private readonly record struct Segment(long First, long Count);
}
