using System.Buffers.Binary;

namespace Compress.Formats.Checkpoints;

/// <summary>One safetensors file, memory-mapped. The header is checked in full on opening; data is read when touched.</summary>
public sealed class SafetensorsFile : ITensorSource
{
    readonly MappedFile file;
    readonly Dictionary<string, nint> addresses;

    SafetensorsFile(MappedFile file, SafetensorsHeader.Content header, long dataStart)
    {
        this.file = file;
        Metadata = header.Metadata;
        var tensors = new OrderedDictionary<string, TensorInfo>(header.Entries.Count, StringComparer.Ordinal);
        addresses = new(header.Entries.Count, StringComparer.Ordinal);
        foreach (var (info, begin) in header.Entries)
        {
            tensors.Add(info.Name, info);
            addresses.Add(info.Name, file.Address + (nint)(dataStart + begin));
        }
        Tensors = tensors;
    }

    /// <summary>The file.</summary>
    public string Path => file.Path;

    /// <summary>The header's free metadata, e.g. <c>format = pt</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>Maps a file and checks its header.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="ModelFileException">
    /// The file is missing, unreadable or breaks the format: header length or JSON, unknown dtype, sizes that do not fit their shape,
    /// offsets that overlap, leave holes or lie outside the file, duplicate names.
    /// </exception>
    public static SafetensorsFile Map(string path)
    {
        var file = MappedFile.Open(path);
        try
        {
            if (file.Length < 8) throw Damaged(path, $"it has {file.Length} bytes, fewer than the 8 of a header length.");
            var headerLength = BinaryPrimitives.ReadUInt64LittleEndian(file.Bytes(0, 8));
            if (headerLength > (ulong)(file.Length - 8))
                throw Damaged(path, $"its header should have {headerLength} bytes, but only {file.Length - 8} follow.");
            if (headerLength > SafetensorsHeader.MaximumLength)
                throw Damaged(path, $"its header has {headerLength} bytes; at most {SafetensorsHeader.MaximumLength} are allowed.");
            var dataStart = 8 + (long)headerLength;
            var header = SafetensorsHeader.Parse(path, file.Bytes(8, (int)headerLength), file.Length - dataStart);
            return new SafetensorsFile(file, header, dataStart);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public TensorView Open(string name)
    {
        ObjectDisposedException.ThrowIf(file.IsReleased, this);
        return Tensors.TryGetValue(name, out var info)
            ? new TensorView(info, addresses[name], file)
            : throw MissingTensor.In(Path, name, Tensors);
    }

    /// <inheritdoc/>
    public void Release(string name)
    {
        if (!file.IsReleased && Tensors.TryGetValue(name, out var info)) MappedFile.Forget(addresses[name], info.ByteCount);
    }

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();

    static ModelFileException Damaged(string path, string problem) => new(
        path, $"not a valid safetensors file: {problem}", "The file is damaged or incomplete; fetch or copy it again.");
}
