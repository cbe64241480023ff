using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Unicode;

namespace Compress.Formats.Checkpoints;

/// <summary>
/// Reads and checks the header of a safetensors file (https://github.com/huggingface/safetensors, "Format"). What the written format
/// forbids is refused, also where the reference implementation is lenient (duplicate names, bytes before <c>{</c>, padding other than
/// spaces, null metadata, tensor entries written as arrays); what it leaves open (unknown members of an entry) is accepted.
/// </summary>
internal ref struct SafetensorsHeader
{
    /// <summary>The reference implementation's limit.</summary>
    public const int MaximumLength = 100_000_000;

    const string Remedy = "The file is damaged or was not written by a safetensors library; fetch or convert it again.";

    readonly string file;
    readonly long dataLength;
    readonly Dictionary<string, Entry> entries;
    readonly Dictionary<string, string> metadata;
    Utf8JsonReader reader;

    SafetensorsHeader(string file, ReadOnlySpan<byte> json, long dataLength)
    {
        this.file = file;
        this.dataLength = dataLength;
        entries = new(StringComparer.Ordinal);
        metadata = new(StringComparer.Ordinal);
        reader = new Utf8JsonReader(json);
    }

    /// <summary>A tensor and where its bytes begin, counted from the end of the header.</summary>
    public readonly record struct Entry(TensorInfo Info, long Begin);

    /// <summary>Tensors in the order of their data, and the free metadata.</summary>
    public sealed record Content(IReadOnlyList<Entry> Entries, IReadOnlyDictionary<string, string> Metadata);

    /// <summary>Parses the header.</summary>
    /// <param name="file">The file, for messages.</param>
    /// <param name="json">The header's bytes.</param>
    /// <param name="dataLength">Bytes that follow the header.</param>
    /// <exception cref="ModelFileException">The header breaks the format.</exception>
    public static Content Parse(string file, ReadOnlySpan<byte> json, long dataLength)
    {
        if (json.IsEmpty || json[0] != (byte)'{') throw Error(file, "the header does not begin with '{'.");
        if (!Utf8.IsValid(json)) throw Error(file, "the header is not valid UTF-8.");
        // Only spaces may pad the header; the JSON reader would skip other white space too.
        var end = json.TrimEnd((byte)' ').Length;
        if (json[end - 1] != (byte)'}') throw Error(file, "the header does not end with '}'.");
        var header = new SafetensorsHeader(file, json[..end], dataLength);
        try
        {
            header.ReadAll();
        }
        catch (JsonException e)
        {
            throw Error(file, $"the header is not valid JSON (line {e.LineNumber + 1}, byte {e.BytePositionInLine}).");
        }
        catch (InvalidOperationException)
        {
            throw Error(file, $"the header has an invalid string near byte {header.reader.TokenStartIndex}.");
        }
        return new Content(header.InDataOrder(), header.metadata);
    }

    static ModelFileException Error(string file, string problem) => new(file, $"not a valid safetensors file: {problem}", Remedy);

    readonly ModelFileException TensorError(string name, string problem) =>
        Error(file, $"tensor \"{Suggestion.Shorten(name)}\" {problem}");

    void ReadAll()
    {
        reader.Read();
        var metadataSeen = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            reader.Read();
            if (name == "__metadata__")
            {
                if (metadataSeen) throw Error(file, "\"__metadata__\" appears twice.");
                metadataSeen = true;
                ReadMetadata();
            }
            else if (!entries.TryAdd(name, ReadEntry(name)))
            {
                throw TensorError(name, "appears twice.");
            }
        }
        // Draws the error for anything after the object.
        reader.Read();
    }

    void ReadMetadata()
    {
        if (reader.TokenType != JsonTokenType.StartObject) throw Error(file, "\"__metadata__\" is not an object of strings.");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var key = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
                throw Error(file, $"metadata \"{Suggestion.Shorten(key)}\" is not a string.");
            if (!metadata.TryAdd(key, reader.GetString()!))
                throw Error(file, $"metadata \"{Suggestion.Shorten(key)}\" appears twice.");
        }
    }

    Entry ReadEntry(string name)
    {
        if (reader.TokenType != JsonTokenType.StartObject) throw TensorError(name, "is not described by an object.");
        ElementType? type = null;
        List<ulong>? shape = null, offsets = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var member = reader.GetString()!;
            reader.Read();
            switch (member)
            {
                case "dtype" when type is null:
                    type = ReadType(name);
                    break;
                case "shape" when shape is null:
                    shape = ReadNumbers(name, member);
                    break;
                case "data_offsets" when offsets is null:
                    offsets = ReadNumbers(name, member);
                    break;
                case "dtype" or "shape" or "data_offsets":
                    throw TensorError(name, $"has two members \"{member}\".");
                default:
                    reader.Skip();
                    break;
            }
        }
        return Check(
            name,
            type ?? throw TensorError(name, "has no \"dtype\"."),
            shape ?? throw TensorError(name, "has no \"shape\"."),
            offsets ?? throw TensorError(name, "has no \"data_offsets\"."));
    }

    ElementType ReadType(string name)
    {
        if (reader.TokenType != JsonTokenType.String) throw TensorError(name, "has a \"dtype\" that is not a string.");
        var text = reader.GetString()!;
        return ElementTypes.TryParse(text, out var type)
            ? type
            : throw TensorError(name, $"has the unknown dtype \"{Suggestion.Shorten(text)}\".");
    }

    List<ulong> ReadNumbers(string name, string member)
    {
        if (reader.TokenType != JsonTokenType.StartArray) throw TensorError(name, $"has a \"{member}\" that is not an array.");
        var numbers = new List<ulong>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetUInt64(out var number))
                throw TensorError(name, $"has a \"{member}\" with something other than an integer from 0 to 2^64 − 1.");
            numbers.Add(number);
        }
        return numbers;
    }

    readonly Entry Check(string name, ElementType type, List<ulong> shape, List<ulong> offsets)
    {
        if (offsets.Count != 2) throw TensorError(name, $"has {offsets.Count} data offsets instead of 2.");
        var (begin, end) = (offsets[0], offsets[1]);
        if (begin > end) throw TensorError(name, $"ends at {end}, before its beginning {begin}.");
        if (end > (ulong)dataLength) throw TensorError(name, $"ends at byte {end} of the data, but the file has only {dataLength}.");
        var elements = UInt128.One;
        foreach (var size in shape)
        {
            elements *= size;
            if (elements > ulong.MaxValue) throw TensorError(name, "has more than 2^64 elements.");
        }
        var bits = elements * (UInt128)type.Bits();
        if (bits % 8 != 0) throw TensorError(name, $"has {elements} elements of {type.Bits()} bits, which is not whole bytes.");
        if (bits / 8 != end - begin)
            throw TensorError(name, $"needs {bits / 8} bytes by its dtype and shape, but its offsets give {end - begin}.");
        // A size above 2^63 − 1 is possible beside a zero one only; no tensor library can name it either.
        var sizes = shape.Select(size => (long)Math.Min(size, long.MaxValue)).ToImmutableArray();
        return new Entry(new TensorInfo(name, type, sizes, (long)(end - begin)), (long)begin);
    }

    readonly List<Entry> InDataOrder()
    {
        var ordered = entries.Values.OrderBy(e => e.Begin).ThenBy(e => e.Info.ByteCount).ToList();
        var end = 0L;
        foreach (var (info, begin) in ordered)
        {
            if (begin < end) throw TensorError(info.Name, $"begins at {begin}, inside the tensor before it (which ends at {end}).");
            if (begin > end) throw TensorError(info.Name, $"begins at {begin}, leaving a hole after byte {end}.");
            end += info.ByteCount;
        }
        return end == dataLength
            ? ordered
            : throw Error(file, $"{dataLength - end} bytes of data belong to no tensor.");
    }
}
