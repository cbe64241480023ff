using System.Buffers.Binary;
using System.Text;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Gguf;

/// <summary>Reads a GGUF header's primitives in order; every length is checked against the file before anything is allocated.</summary>
internal sealed class GgufReader(MappedFile file)
{
    /// <summary>llama.cpp's own limits are of this order: no real key or token is longer.</summary>
    private const int LongestString = 16 * 1024 * 1024;

    private const int DeepestArray = 4;

    private static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    public long Position { get; private set; }

    public uint U32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    public ulong U64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    /// <summary>A count of things that take at least <paramref name="smallest"/> bytes each, so that a lie cannot allocate.</summary>
    public int Count(string what, int smallest)
    {
        var count = U64();
        if (count > (ulong)((file.Length - Position) / smallest) || count > int.MaxValue)
            throw Malformed($"it announces {count} {what}, more than the file can hold.");
        return (int)count;
    }

    public string String()
    {
        var length = U64();
        if (length > LongestString) throw Malformed($"a string of {length} bytes at offset {Position} is longer than {LongestString}.");
        try { return Strict.GetString(Take((int)length)); }
        catch (DecoderFallbackException) { throw Malformed($"the string before offset {Position} is not UTF-8."); }
    }

    /// <summary>A metadata value: a boxed number, bool or string, or an array of one of these.</summary>
    public object Value(uint type, int depth = 0) => type switch
    {
        0 => Take(1)[0],
        1 => (sbyte)Take(1)[0],
        2 => BinaryPrimitives.ReadUInt16LittleEndian(Take(2)),
        3 => BinaryPrimitives.ReadInt16LittleEndian(Take(2)),
        4 => U32(),
        5 => (int)U32(),
        6 => BinaryPrimitives.ReadSingleLittleEndian(Take(4)),
        7 => Take(1)[0] switch
        {
            0 => false,
            1 => true,
            var other => throw Malformed($"a bool is {other}."),
        },
        8 => String(),
        9 when depth < DeepestArray => Array(depth),
        10 => U64(),
        11 => (long)U64(),
        12 => BinaryPrimitives.ReadDoubleLittleEndian(Take(8)),
        _ => throw Malformed($"metadata type {type} at offset {Position} is not known or nested too deep."),
    };

    public ModelFileException Malformed(string problem) =>
        new(file.Path, $"not a valid GGUF file: {problem}", "Download or convert it again.");

    private Array Array(int depth)
    {
        var type = U32();
        var count = Count("array elements", SmallestSize(type));
        return type switch
        {
            4 => Fill(new uint[count], type, depth),
            5 => Fill(new int[count], type, depth),
            6 => Fill(new float[count], type, depth),
            7 => Fill(new bool[count], type, depth),
            8 => Fill(new string[count], type, depth),
            _ => Fill(new object[count], type, depth),
        };
    }

    private T[] Fill<T>(T[] values, uint type, int depth)
    {
        for (var i = 0; i < values.Length; i++) values[i] = (T)Value(type, depth + 1);
        return values;
    }

    private static int SmallestSize(uint type) => type switch
    {
        2 or 3 => 2,
        4 or 5 or 6 => 4,
        8 or 10 or 11 or 12 => 8,
        9 => 12,
        _ => 1,
    };

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > file.Length - Position) throw Malformed($"it ends at {file.Length} bytes, inside its header.");
        var bytes = file.Bytes(Position, count);
        Position += count;
        return bytes;
    }
}
