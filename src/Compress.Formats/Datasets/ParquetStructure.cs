using System.Buffers.Binary;
using Compress.Formats.Checkpoints;

namespace Compress.Formats.Datasets;

/// <summary>
/// Checks a Parquet file's metadata before the Parquet library reads it, which on damaged files may not end, fill memory or overflow
/// the stack.
/// </summary>
internal static class ParquetStructure
{
    const int LongestFooter = 256 << 20;
    const int MostSchemaGroups = 1000;
    const int LongestPage = 1 << 30;

    /// <summary>Checks the footer.</summary>
    /// <exception cref="InvalidDataException">The footer is damaged.</exception>
    public static void CheckFooter(MappedFile file)
    {
        if (file.Length < 12 || !file.Bytes(file.Length - 4, 4).SequenceEqual("PAR1"u8))
            throw new InvalidDataException("it does not end with the mark PAR1");
        var length = BinaryPrimitives.ReadUInt32LittleEndian(file.Bytes(file.Length - 8, 4));
        if (length > Math.Min(file.Length - 12, LongestFooter)) throw new InvalidDataException("its footer is longer than the file");
        var groups = 0;
        var footer = new ThriftStructure(file.Bytes(file.Length - 8 - length, (int)length))
        {
            OnInteger = (owner, id, children) =>
            {
                // The schema is a tree, given by the number of children of each inner node; its depth is at most the number of these.
                if (owner == "SchemaElement" && id == 5 && (children < 0 || (children > 0 && ++groups > MostSchemaGroups)))
                    throw new InvalidDataException("its schema is nested too deeply");
            },
        };
        footer.Walk("FileMetaData");
    }

    /// <summary>Checks the pages of a column chunk: they must fill it, and hold its values.</summary>
    /// <param name="file">The file.</param>
    /// <param name="begin">Where the first page begins.</param>
    /// <param name="length">Bytes of all pages.</param>
    /// <param name="values">Values of all data pages.</param>
    /// <exception cref="InvalidDataException">A page header is damaged.</exception>
    public static void CheckPages(MappedFile file, long begin, long length, long values)
    {
        if (begin < 4 || length < 0 || begin > file.Length - length) throw new InvalidDataException("a column lies outside the file");
        var (position, end, found) = (begin, begin + length, 0L);
        while (position < end && found < values)
        {
            var page = new Page();
            var header = new ThriftStructure(file.Bytes(position, (int)Math.Min(end - position, LongestPage))) { OnInteger = page.Set };
            header.Walk("PageHeader");
            position += header.Position;
            if (page.Compressed < 0 || page.Compressed > end - position || page.Uncompressed is < 0 or > LongestPage)
                throw new InvalidDataException("a page lies outside its column");
            if (page.Values < 0 || page.DictionaryValues < 0 || page.DictionaryValues > page.Uncompressed / 4)
                throw new InvalidDataException("a page has an impossible number of values");
            position += page.Compressed;
            found += page.Values;
        }
        if (found != values) throw new InvalidDataException($"a column has {found} values instead of {values}");
    }

    sealed class Page
    {
        public long Uncompressed { get; private set; } = -1;

        public long Compressed { get; private set; } = -1;

        public long Values { get; private set; }

        public long DictionaryValues { get; private set; }

        public void Set(string owner, int id, long value)
        {
            switch (owner, id)
            {
                case ("PageHeader", 2):
                    Uncompressed = value;
                    break;
                case ("PageHeader", 3):
                    Compressed = value;
                    break;
                case ("DataPageHeader" or "DataPageHeaderV2", 1):
                    Values = value;
                    break;
                case ("DictionaryPageHeader", 1):
                    DictionaryValues = value;
                    break;
            }
        }
    }
}
