using System.Buffers.Binary;
using System.IO.Compression;

namespace Compress.Formats.Datasets;

/// <summary>
/// Unpacks a gzip file and counts what comes out, because <see cref="GZipStream"/> ends quietly where a file was cut off. The file's
/// last four bytes say how many bytes there should be, modulo 2^32 (RFC 1952, section 2.3.1).
/// </summary>
internal sealed class GzipText : Stream
{
    readonly GZipStream inner;
    readonly uint expected;
    uint count;

    public GzipText(Stream file)
    {
        Span<byte> trailer = stackalloc byte[4];
        if (file.Length >= 18)
        {
            file.Seek(-4, SeekOrigin.End);
            file.ReadExactly(trailer);
            expected = BinaryPrimitives.ReadUInt32LittleEndian(trailer);
        }
        else
        {
            // Shorter than the header and trailer of nothing.
            expected = uint.MaxValue;
        }
        file.Position = 0;
        inner = new GZipStream(file, CompressionMode.Decompress);
    }

    /// <summary>Whether everything has come out; asked at the end.</summary>
    public bool IsWhole => count == expected;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(Span<byte> buffer)
    {
        var read = inner.Read(buffer);
        count += (uint)read;
        return read;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing) inner.Dispose();
        base.Dispose(disposing);
    }
}
