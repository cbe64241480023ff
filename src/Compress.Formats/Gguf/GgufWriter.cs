using System.Text;

namespace Compress.Formats.Gguf;

/// <summary>A tensor to write.</summary>
/// <param name="Name">GGUF name.</param>
/// <param name="Type">How it is stored.</param>
/// <param name="Shape">Row-major shape; the last dimension is whole blocks of the type.</param>
/// <param name="Write">Writes the stored bytes.</param>
public sealed record GgufTensorSource(string Name, GgmlType Type, IReadOnlyList<long> Shape, Action<Stream> Write)
{
    /// <summary>Stored bytes.</summary>
    public long ByteCount => Shape.SkipLast(1).Aggregate(Type.RowBytes(Shape[^1]), (bytes, size) => checked(bytes * size));
}

/// <summary>Writes GGUF files, version 3 (ggml, <c>docs/gguf.md</c>): a tensor at a time, and whole or not at all.</summary>
public static class GgufWriter
{
    private const int Alignment = 32;

    /// <summary>Writes a file.</summary>
    /// <param name="path">The file; replaced where there is one.</param>
    /// <param name="metadata">Keys with bools, numbers, texts or arrays of them.</param>
    /// <param name="tensors">The tensors in file order.</param>
    /// <exception cref="ModelFileException">The file cannot be written.</exception>
    public static void Write(string path, IReadOnlyList<KeyValuePair<string, object>> metadata, IReadOnlyList<GgufTensorSource> tensors) =>
        AtomicFile.Write(path, stream =>
        {
            using (var writer = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true)) Header(writer, metadata, tensors);
            Pad(stream);
            foreach (var tensor in tensors)
            {
                var start = stream.Position;
                tensor.Write(stream);
                if (stream.Position - start != tensor.ByteCount)
                    throw new InvalidOperationException($"{tensor.Name} wrote {stream.Position - start} bytes instead of {tensor.ByteCount}");
                Pad(stream);
            }
        });

    private static void Header(BinaryWriter writer, IReadOnlyList<KeyValuePair<string, object>> metadata, IReadOnlyList<GgufTensorSource> tensors)
    {
        writer.Write("GGUF"u8);
        writer.Write(3u);
        writer.Write((ulong)tensors.Count);
        writer.Write((ulong)metadata.Count);
        foreach (var (key, value) in metadata)
        {
            Text(writer, key);
            Value(writer, value);
        }
        long offset = 0;
        foreach (var tensor in tensors)
        {
            Text(writer, tensor.Name);
            writer.Write((uint)tensor.Shape.Count);
            foreach (var size in tensor.Shape.Reverse()) writer.Write((ulong)size);
            writer.Write((uint)tensor.Type);
            writer.Write((ulong)offset);
            offset += (tensor.ByteCount + Alignment - 1) / Alignment * Alignment;
        }
    }

    private static void Value(BinaryWriter writer, object value)
    {
        writer.Write(Kind(value));
        if (value is not Array array)
        {
            Plain(writer, value);
            return;
        }
        writer.Write(Kind(array is string[]? "" : Activator.CreateInstance(array.GetType().GetElementType()!)!));
        writer.Write((ulong)array.Length);
        foreach (var item in array) Plain(writer, item);
    }

    private static uint Kind(object value) => value switch
    {
        uint => 4,
        int => 5,
        float => 6,
        bool => 7,
        string => 8,
        Array => 9,
        _ => throw new ArgumentException($"metadata of type {value.GetType().Name} is not written", nameof(value)),
    };

    private static void Plain(BinaryWriter writer, object value)
    {
        switch (value)
        {
            case uint number:
                writer.Write(number);
                break;
            case int number:
                writer.Write(number);
                break;
            case float number:
                writer.Write(number);
                break;
            case bool flag:
                writer.Write(flag);
                break;
            default:
                Text(writer, (string)value);
                break;
        }
    }

    private static void Text(BinaryWriter writer, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }

    private static void Pad(Stream stream)
    {
        var rest = (int)(stream.Position % Alignment);
        if (rest > 0) stream.Write(new byte[Alignment - rest]);
    }
}
