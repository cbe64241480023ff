using System.Collections.Frozen;

namespace Compress.Formats.Datasets;

/// <summary>
/// Walks structures of Parquet's metadata (parquet.thrift, compact protocol) without building them, and refuses what would send a
/// trusting reader astray: fields of another type than declared, lengths and counts beyond the data, deep nesting.
/// </summary>
internal ref struct ThriftStructure(ReadOnlySpan<byte> data)
{
    const int DeepestNesting = 12;
    const int True = 1, False = 2, Byte = 3, I16 = 4, I32 = 5, I64 = 6, Double = 7, Binary = 8, List = 9, Set = 10, Struct = 12, Uuid = 13;

    /// <summary>
    /// Field types by id from 1: o bool, y byte, h i16, i i32, l i64, d double, s binary, [..] a list, a name a struct (E an empty one), - unused.
    /// </summary>
    static readonly FrozenDictionary<string, string[]> Fields = new Dictionary<string, string>
    {
        ["FileMetaData"] = "i [SchemaElement] l [RowGroup] [KeyValue] s [ColumnOrder] - s",
        ["SchemaElement"] = "i i i s i i i i i LogicalType",
        ["LogicalType"] = "E E E E Decimal E Time Time - Integer E E E E E Variant Geometry Geometry",
        ["E"] = "",
        ["Decimal"] = "i i",
        ["Time"] = "o TimeUnit",
        ["TimeUnit"] = "E E E",
        ["Integer"] = "y o",
        ["Variant"] = "y",
        ["Geometry"] = "s i",
        ["KeyValue"] = "s s",
        ["ColumnOrder"] = "E",
        ["RowGroup"] = "[ColumnChunk] l l [SortingColumn] l l h",
        ["SortingColumn"] = "i o o",
        ["ColumnChunk"] = "s l ColumnMetaData l i l i - s",
        ["ColumnMetaData"] = "i [i] [s] i l l l [KeyValue] l l l Statistics [PageEncodingStats] l i SizeStatistics GeospatialStatistics",
        ["Statistics"] = "s s l l s s o o",
        ["PageEncodingStats"] = "i i i",
        ["SizeStatistics"] = "l [l] [l]",
        ["GeospatialStatistics"] = "BoundingBox [i]",
        ["BoundingBox"] = "d d d d d d d d",
        ["PageHeader"] = "i i i i DataPageHeader E DictionaryPageHeader DataPageHeaderV2",
        ["DataPageHeader"] = "i i i i Statistics",
        ["DictionaryPageHeader"] = "i i o",
        ["DataPageHeaderV2"] = "i i i i i i o Statistics",
    }.ToFrozenDictionary(e => e.Key, e => e.Value.Split(' ', StringSplitOptions.RemoveEmptyEntries), StringComparer.Ordinal);

    readonly ReadOnlySpan<byte> data = data;

    /// <summary>Told of each integer: the struct's name, the field's id, and the value.</summary>
    public Action<string, int, long>? OnInteger { get; init; }

    /// <summary>Bytes that were walked.</summary>
    public int Position { get; private set; }

    /// <summary>Walks one structure.</summary>
    /// <param name="name">A key of the table above.</param>
    /// <exception cref="InvalidDataException">The bytes are not such a structure.</exception>
    public void Walk(string name) => WalkStruct(name, 0);

    void WalkStruct(string? name, int depth)
    {
        if (depth > DeepestNesting) throw new InvalidDataException("metadata is nested too deeply");
        var declared = name is null ? [] : Fields[name];
        var id = 0;
        while (true)
        {
            var header = NextByte();
            if (header == 0) return;
            var type = header & 15;
            id = header >> 4 is var delta and > 0 ? id + delta : (int)Signed();
            var expected = id >= 1 && id <= declared.Length && declared[id - 1] != "-" ? declared[id - 1] : null;
            if (name is "FileMetaData" or "ColumnChunk" && id == 8) throw new InvalidDataException("encrypted files are not read");
            WalkValue(type, expected, depth, inList: false, name, id);
        }
    }

    void WalkValue(int type, string? expected, int depth, bool inList, string? owner, int id)
    {
        if (expected is not null && !Matches(type, expected)) throw new InvalidDataException($"field {id} of {owner} has another type");
        switch (type)
        {
            case True or False:
                if (inList) NextByte();
                break;
            case Byte:
                NextByte();
                break;
            case I16 or I32 or I64:
                var value = Signed();
                if (owner is not null) OnInteger?.Invoke(owner, id, value);
                break;
            case Double:
                Skip(8);
                break;
            case Uuid:
                Skip(16);
                break;
            case Binary:
                Skip(Unsigned());
                break;
            case List or Set:
                WalkList(expected?[1..^1], depth, owner, id);
                break;
            case Struct:
                WalkStruct(expected, depth + 1);
                break;
            default:
                throw new InvalidDataException($"metadata has a value of the unknown type {type}");
        }
    }

    void WalkList(string? element, int depth, string? owner, int id)
    {
        if (depth > DeepestNesting) throw new InvalidDataException("metadata is nested too deeply");
        var header = NextByte();
        var count = header >> 4 is var size and < 15 ? (ulong)size : Unsigned();
        // Every element takes a byte at least.
        if (count > (ulong)(data.Length - Position)) throw new InvalidDataException("a list is longer than the file");
        for (var i = 0UL; i < count; i++) WalkValue(header & 15, element, depth + 1, inList: true, owner, id);
    }

    static bool Matches(int type, string expected) => expected switch
    {
        "o" => type is True or False,
        "y" => type == Byte,
        "h" => type == I16,
        "i" => type == I32,
        "l" => type == I64,
        "d" => type == Double,
        "s" => type == Binary,
        ['[', ..] => type == List,
        _ => type == Struct,
    };

    byte NextByte() => Position < data.Length ? data[Position++] : throw new InvalidDataException("metadata ends too early");

    void Skip(ulong count)
    {
        if (count > (ulong)(data.Length - Position)) throw new InvalidDataException("a value is longer than the file");
        Position += (int)count;
    }

    ulong Unsigned()
    {
        var result = 0UL;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var part = NextByte();
            result |= (ulong)(part & 127) << shift;
            if (part < 128) return result;
        }
        throw new InvalidDataException("a number is too long");
    }

    long Signed()
    {
        var value = Unsigned();
        return (long)(value >> 1) ^ -(long)(value & 1);
    }
}
