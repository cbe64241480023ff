using System.Runtime.InteropServices;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Encodings;

/// <summary>Reads the tensors that make up one quantized weight, checking type and shape before anything is allocated.</summary>
/// <param name="source">The checkpoint.</param>
/// <param name="file">Its path, for messages.</param>
/// <param name="module">The weight's name without its last part, e.g. <c>model.layers.0.mlp.up_proj</c>.</param>
internal sealed class StoredParts(ITensorSource source, string file, string module)
{
    /// <summary>Whether a part exists.</summary>
    public bool Has(string part) => source.Tensors.ContainsKey(Name(part));

    /// <summary>Shape of a part that must exist, with so many dimensions.</summary>
    public (int First, int Second) Matrix(string part)
    {
        var info = Info(part);
        return info.Shape is [>= 0 and <= int.MaxValue, >= 0 and <= int.MaxValue]
            ? ((int)info.Shape[0], (int)info.Shape[1])
            : throw Wrong(part, $"has the shape {info.ShapeText}; a matrix is expected.");
    }

    /// <summary>Elements of a part that must exist, with one dimension.</summary>
    public int Length(string part)
    {
        var info = Info(part);
        return info.Shape is [>= 0 and <= int.MaxValue]
            ? (int)info.Shape[0]
            : throw Wrong(part, $"has the shape {info.ShapeText}; one dimension is expected.");
    }

    /// <summary>Element type of a part that must exist.</summary>
    public ElementType Type(string part) => Info(part).Type;

    /// <summary>The bytes of a part of a given type and shape.</summary>
    public byte[] Raw(string part, ElementType type, params ReadOnlySpan<long> shape) => Bytes(part, type, shape).ToArray();

    /// <summary>Finite F16, BF16 or F32 numbers of a given shape.</summary>
    public (float[] Values, ElementType Type) Floats(string part, params ReadOnlySpan<long> shape)
    {
        var type = Type(part);
        if (type is not (ElementType.F16 or ElementType.BF16 or ElementType.F32))
            throw Wrong(part, $"has the type {type}; F16, BF16 or F32 is expected.");
        var bytes = Bytes(part, type, shape);
        var values = new float[bytes.Length / (type.Bits() / 8)];
        ElementConversion.ToSingle(type, bytes, values);
        return Array.TrueForAll(values, float.IsFinite) ? (values, type) : throw Wrong(part, "has a value that is not finite.");
    }

    /// <summary>The 32-bit words of a part of a given shape.</summary>
    public uint[] Words(string part, params ReadOnlySpan<long> shape) =>
        MemoryMarshal.Cast<byte, uint>(Bytes(part, ElementType.I32, shape)).ToArray();

    /// <summary>The 32-bit integers of a part of a given shape.</summary>
    public int[] Integers(string part, params ReadOnlySpan<long> shape) =>
        MemoryMarshal.Cast<byte, int>(Bytes(part, ElementType.I32, shape)).ToArray();

    /// <summary>The 64-bit integers of a part of a given shape.</summary>
    public long[] Longs(string part, params ReadOnlySpan<long> shape) =>
        MemoryMarshal.Cast<byte, long>(Bytes(part, ElementType.I64, shape)).ToArray();

    /// <summary>Scales <c>[rows, groups]</c>, of which a single one or one for each row may stand for all.</summary>
    public (float[] Values, ElementType Type) Scales(string part, int rows, int groups)
    {
        var info = Info(part);
        if (info.Type is not (ElementType.F16 or ElementType.BF16 or ElementType.F32))
            throw Wrong(part, $"has the type {info.Type}; F16, BF16 or F32 is expected.");
        var one = info.ElementCount == 1;
        if (!one && !(info.Shape is [var r, var g] && r == rows && g == groups) && !(groups == 1 && info.Shape is [var n] && n == rows))
            throw Wrong(part, $"has the shape {info.ShapeText}; [{rows}, {groups}] is expected.");
        var values = new float[info.ElementCount];
        ElementConversion.ToSingle(info.Type, source.Open(info.Name).Bytes(0, (int)info.ByteCount), values);
        if (!Array.TrueForAll(values, float.IsFinite)) throw Wrong(part, "has a value that is not finite.");
        if (one) values = [.. Enumerable.Repeat(values[0], rows * groups)];
        return (values, info.Type);
    }

    /// <summary>A complaint about a part.</summary>
    public ModelFileException Wrong(string part, string problem) =>
        new(file, $"tensor \"{Suggestion.Shorten(Name(part))}\" {problem}", "The quantized checkpoint is damaged or of an unknown layout.");

    string Name(string part) => $"{module}.{part}";

    TensorInfo Info(string part) => source.Tensors.TryGetValue(Name(part), out var info)
        ? info
        : throw Wrong(part, "is missing.");

    ReadOnlySpan<byte> Bytes(string part, ElementType type, ReadOnlySpan<long> shape)
    {
        var info = Info(part);
        if (info.Type != type || !info.Shape.AsSpan().SequenceEqual(shape) || info.ByteCount > int.MaxValue)
            throw Wrong(part, $"is {info.Type} {info.ShapeText}; {type} [{string.Join(", ", shape.ToArray())}] is expected.");
        return source.Open(info.Name).Bytes(0, (int)info.ByteCount);
    }
}
