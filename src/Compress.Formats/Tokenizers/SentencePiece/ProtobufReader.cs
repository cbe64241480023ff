using System.Buffers.Binary;
using System.Text;

namespace Compress.Formats.Tokenizers.SentencePiece;

/// <summary>Walks the fields of a Protocol Buffers message (the wire format's documentation), enough for a SentencePiece model.</summary>
ref struct ProtobufReader(ReadOnlySpan<byte> message)
{
    static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
    ReadOnlySpan<byte> rest = message;
    ReadOnlySpan<byte> payload;
    ulong scalar;
    int wireType;

    /// <summary>The number of the current field.</summary>
    internal int Field { get; private set; }

    /// <summary>Moves to the next field.</summary>
    /// <exception cref="FormatException">The message is cut off or malformed.</exception>
    internal bool Read()
    {
        if (rest.IsEmpty) return false;
        var key = ReadVarint();
        Field = (int)(key >> 3);
        wireType = (int)(key & 7);
        if (Field <= 0) throw new FormatException("the model has a field without number");
        switch (wireType)
        {
            case 0:
                scalar = ReadVarint();
                break;
            case 1:
                scalar = BinaryPrimitives.ReadUInt64LittleEndian(Take(8));
                break;
            case 2:
                payload = Take(ReadVarint());
                break;
            case 5:
                scalar = BinaryPrimitives.ReadUInt32LittleEndian(Take(4));
                break;
            default:
                throw new FormatException($"the model has a field of unknown wire type {wireType}");
        }
        return true;
    }

    internal readonly ReadOnlySpan<byte> Bytes => wireType == 2 ? payload : throw Mismatch();

    internal readonly string Text
    {
        get
        {
            try
            {
                return Strict.GetString(Bytes);
            }
            catch (DecoderFallbackException e)
            {
                throw new FormatException($"field {Field} is not valid UTF-8", e);
            }
        }
    }

    internal readonly float Single => wireType == 5 ? BitConverter.UInt32BitsToSingle((uint)scalar) : throw Mismatch();

    internal readonly int Integer => wireType == 0 ? (int)scalar : throw Mismatch();

    internal readonly bool Boolean => Integer != 0;

    readonly FormatException Mismatch() => new($"field {Field} has wire type {wireType}, which does not fit");

    ulong ReadVarint()
    {
        var value = 0UL;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var b = Take(1)[0];
            value |= (ulong)(b & 0x7F) << shift;
            if (b < 0x80) return value;
        }
        throw new FormatException("the model has a number of more than 64 bits");
    }

    ReadOnlySpan<byte> Take(ulong length)
    {
        if (length > (ulong)rest.Length) throw new FormatException("the model is cut off");
        var taken = rest[..(int)length];
        rest = rest[(int)length..];
        return taken;
    }
}
