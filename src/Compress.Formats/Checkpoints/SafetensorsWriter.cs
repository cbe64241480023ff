using System.Buffers.Binary;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;

namespace Compress.Formats.Checkpoints;

/// <summary>
/// Writes one safetensors file. All tensors are declared first, which fixes the header and each tensor's place; their bytes then come
/// in any order and in pieces, so that a model is never held whole. The file appears under its name only when it is complete.
/// The same declarations and bytes give the same file.
/// </summary>
/// <remarks>
/// Tensors are laid out by descending element size, then in the order of declaration, behind a header padded to 8 bytes: so every
/// tensor is aligned to its element size, which some readers need.
/// </remarks>
public sealed class SafetensorsWriter : IDisposable
{
    static readonly JavaScriptEncoder Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;

    readonly string path;
    readonly string temporary;
    readonly SafeFileHandle handle;
    readonly Dictionary<string, Slot> slots;
    bool completed;

    SafetensorsWriter(string path, string temporary, SafeFileHandle handle, Dictionary<string, Slot> slots, long dataLength)
    {
        this.path = path;
        this.temporary = temporary;
        this.handle = handle;
        this.slots = slots;
        DataByteCount = dataLength;
    }

    sealed class Slot(TensorInfo info, long begin)
    {
        public TensorInfo Info { get; } = info;

        public long Begin { get; } = begin;

        public long Written { get; set; }
    }

    /// <summary>Bytes of all tensors, without the header.</summary>
    public long DataByteCount { get; }

    /// <summary>Begins a file.</summary>
    /// <param name="path">The target; replaced by <see cref="Complete"/> if it exists.</param>
    /// <param name="tensors">Every tensor of the file.</param>
    /// <param name="metadata">Free metadata; null for <c>format = pt</c>, which Hugging Face's loaders ask for.</param>
    /// <exception cref="ArgumentException">A name appears twice or is <c>__metadata__</c>, or sizes contradict each other.</exception>
    /// <exception cref="ModelFileException">The file cannot be created, or the disk has too little space.</exception>
    public static SafetensorsWriter Create(
        string path, IEnumerable<TensorInfo> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var ordered = tensors.OrderByDescending(t => t.Type.Bits()).ToList();
        var header = Header(ordered, metadata ?? new Dictionary<string, string> { ["format"] = "pt" });
        var slots = new Dictionary<string, Slot>(ordered.Count, StringComparer.Ordinal);
        var position = (long)header.Length;
        foreach (var tensor in ordered)
        {
            slots.Add(tensor.Name, new Slot(tensor, position));
            position += tensor.ByteCount;
        }
        var temporary = AtomicFile.TemporaryPath(path);
        try
        {
            var handle = File.OpenHandle(
                temporary, FileMode.Create, FileAccess.Write, FileShare.None, FileOptions.None, preallocationSize: position);
            try
            {
                RandomAccess.Write(handle, header, 0);
            }
            catch
            {
                handle.Dispose();
                throw;
            }
            return new SafetensorsWriter(path, temporary, handle, slots, position - header.Length);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            AtomicFile.Discard(temporary);
            throw FileFailure.Writing(path, e);
        }
    }

    /// <summary>Adds bytes to a tensor, behind those that it already has. Different tensors may be written from different
    /// threads.</summary>
    /// <param name="name">A declared tensor.</param>
    /// <param name="bytes">The next little-endian row-major bytes.</param>
    /// <exception cref="ArgumentException">The tensor was not declared, or would get more bytes than declared.</exception>
    /// <exception cref="ModelFileException">The file cannot be written.</exception>
    public void Write(string name, ReadOnlySpan<byte> bytes)
    {
        ObjectDisposedException.ThrowIf(handle.IsClosed, this);
        if (!slots.TryGetValue(name, out var slot)) throw new ArgumentException($"tensor {name} was not declared", nameof(name));
        if (bytes.Length > slot.Info.ByteCount - slot.Written)
            throw new ArgumentException($"tensor {name} gets more than its {slot.Info.ByteCount} bytes", nameof(bytes));
        try
        {
            RandomAccess.Write(handle, bytes, slot.Begin + slot.Written);
        }
        catch (IOException e)
        {
            throw FileFailure.Writing(path, e);
        }
        slot.Written += bytes.Length;
    }

    /// <summary>Copies a whole tensor from another checkpoint, in pieces.</summary>
    /// <param name="name">A declared tensor.</param>
    /// <param name="source">Its bytes; type and shape are as declared.</param>
    /// <exception cref="ArgumentException">The tensor was not declared, or has another size.</exception>
    /// <exception cref="ModelFileException">The file cannot be written.</exception>
    public void Write(string name, TensorView source)
    {
        const int Piece = 1 << 24;
        for (var offset = 0L; offset < source.Info.ByteCount; offset += Piece)
            Write(name, source.Bytes(offset, (int)Math.Min(Piece, source.Info.ByteCount - offset)));
    }

    /// <summary>Flushes the file to disk and gives it its name.</summary>
    /// <exception cref="InvalidOperationException">A tensor lacks bytes.</exception>
    /// <exception cref="ModelFileException">The file cannot be flushed or renamed.</exception>
    public void Complete()
    {
        ObjectDisposedException.ThrowIf(handle.IsClosed, this);
        foreach (var slot in slots.Values)
        {
            if (slot.Written != slot.Info.ByteCount)
                throw new InvalidOperationException($"tensor {slot.Info.Name} has {slot.Written} of {slot.Info.ByteCount} bytes");
        }
        try
        {
            RandomAccess.FlushToDisk(handle);
            handle.Dispose();
            File.Move(temporary, path, overwrite: true);
            completed = true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw FileFailure.Writing(path, e);
        }
    }

    /// <summary>Closes the writer; without <see cref="Complete"/> nothing is left behind and an older file stays as it was.</summary>
    public void Dispose()
    {
        handle.Dispose();
        if (!completed) AtomicFile.Discard(temporary);
        completed = true;
    }

    static byte[] Header(List<TensorInfo> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        using var buffer = new MemoryStream();
        buffer.Write(new byte[8]);
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = Encoder }))
        {
            json.WriteStartObject();
            if (metadata.Count > 0)
            {
                json.WriteStartObject("__metadata__");
                foreach (var (key, value) in metadata.OrderBy(m => m.Key, StringComparer.Ordinal)) json.WriteString(key, value);
                json.WriteEndObject();
            }
            var begin = 0L;
            foreach (var tensor in tensors)
            {
                if (tensor.Name == "__metadata__") throw new ArgumentException("no tensor may be named __metadata__", nameof(tensors));
                if (tensor.ByteCount != tensor.Type.ByteCount([.. tensor.Shape]))
                    throw new ArgumentException($"tensor {tensor.Name} has a byte count that does not fit its shape", nameof(tensors));
                WriteEntry(json, tensor, begin);
                begin = checked(begin + tensor.ByteCount);
            }
            json.WriteEndObject();
        }
        while (buffer.Length % 8 != 0) buffer.WriteByte((byte)' ');
        var header = buffer.ToArray();
        if (header.Length - 8 > SafetensorsHeader.MaximumLength)
            throw new ArgumentException($"the header would have {header.Length} bytes", nameof(tensors));
        BinaryPrimitives.WriteUInt64LittleEndian(header, (ulong)(header.Length - 8));
        return header;
    }

    static void WriteEntry(Utf8JsonWriter json, TensorInfo tensor, long begin)
    {
        json.WriteStartObject(tensor.Name);
        json.WriteString("dtype", tensor.Type.SafetensorsName());
        json.WriteStartArray("shape");
        foreach (var size in tensor.Shape) json.WriteNumberValue(size);
        json.WriteEndArray();
        json.WriteStartArray("data_offsets");
        json.WriteNumberValue(begin);
        json.WriteNumberValue(begin + tensor.ByteCount);
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
