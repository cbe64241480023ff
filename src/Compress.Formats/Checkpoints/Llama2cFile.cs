using System.Runtime.InteropServices;
using System.Text.Json;

namespace Compress.Formats.Checkpoints;

/// <summary>
/// A llama2.c model (<c>.bin</c>; legacy, version 1, and version 2 as <c>runq.c</c> reads it) under the tensor names of Hugging Face's
/// Llama. llama2.c rotates neighbouring dimensions (2i, 2i + 1) of a head and Hugging Face the halves (i, i + size/2), so the rows of
/// query and key projections are reordered on opening; int8 weights are decoded to f32 on opening.
/// </summary>
public sealed class Llama2cFile : ITensorSource
{
    readonly MappedFile file;
    readonly DecodedTensors decoded = new();
    readonly Llama2cHeader header;
    readonly Dictionary<string, Place> places = new(StringComparer.Ordinal);
    readonly OrderedDictionary<string, TensorInfo> tensors = new(StringComparer.Ordinal);

    Llama2cFile(MappedFile file, Llama2cHeader header)
    {
        this.file = file;
        this.header = header;
        Config = header.ToConfig();
    }

    readonly record struct Place(long Offset, bool Quantized, bool Rotated);

    /// <summary>The file.</summary>
    public string Path => file.Path;

    /// <summary>A <c>config.json</c> for the model.</summary>
    public JsonElement Config { get; }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorInfo> Tensors => tensors;

    /// <summary>Maps a file and checks its header and size.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="ModelFileException">The file is missing, is no llama2.c model, or its size does not fit its header.</exception>
    public static Llama2cFile Map(string path)
    {
        var file = MappedFile.Open(path);
        try
        {
            var header = Llama2cHeader.Read(file.Bytes(0, (int)Math.Min(file.Length, 256)), out var problem)
                ?? throw new ModelFileException(
                    path, $"not a llama2.c model: {problem}", "Give a folder with config.json and model.safetensors.");
            var result = new Llama2cFile(file, header);
            result.PlaceAll();
            return result;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Whether a file is a llama2.c model, by header and size.</summary>
    internal static bool LooksLikeOne(string path)
    {
        if (!path.EndsWith(".bin", StringComparison.OrdinalIgnoreCase)) return false;
        try
        {
            using var file = Map(path);
            return true;
        }
        catch (ModelFileException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public unsafe TensorView Open(string name)
    {
        ObjectDisposedException.ThrowIf(file.IsReleased, this);
        if (!tensors.TryGetValue(name, out var info)) throw MissingTensor.In(Path, name, tensors);
        var place = places[name];
        if (!place.Quantized && !place.Rotated) return new TensorView(info, file.Address + (nint)place.Offset, file);
        return decoded.Open(info, memory =>
        {
            var (rows, columns) = ((int)info.Shape[0], (int)info.Shape[1]);
            for (var row = 0; row < rows; row++)
            {
                var target = MemoryMarshal.Cast<byte, float>(memory.Bytes(4L * row * columns, 4 * columns));
                ReadRow(info, place, place.Rotated ? StoredRow(row) : row, target);
            }
        });
    }

    /// <inheritdoc/>
    public void Release(string name)
    {
        if (file.IsReleased || !places.TryGetValue(name, out var place)) return;
        decoded.Release(name);
        MappedFile.Forget(file.Address + (nint)place.Offset, StoredBytes(tensors[name].ElementCount, place.Quantized));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        decoded.Dispose();
        file.Dispose();
    }

    long StoredBytes(long elements, bool quantized) => quantized ? elements + 4 * (elements / header.GroupSize) : 4 * elements;

    /// <summary>Which stored row holds row <paramref name="row"/> of the half-split layout.</summary>
    int StoredRow(int row)
    {
        var (head, within) = Math.DivRem(row, header.HeadSize);
        var (half, pair) = Math.DivRem(within, header.HeadSize / 2);
        return head * header.HeadSize + 2 * pair + half;
    }

    void ReadRow(TensorInfo info, Place place, int row, Span<float> target)
    {
        var first = (long)row * target.Length;
        if (!place.Quantized)
        {
            MemoryMarshal.Cast<byte, float>(file.Bytes(place.Offset + 4 * first, 4 * target.Length)).CopyTo(target);
            return;
        }
        var codes = MemoryMarshal.Cast<byte, sbyte>(file.Bytes(place.Offset + first, target.Length));
        var scales = place.Offset + info.ElementCount;
        for (var i = 0; i < target.Length;)
        {
            var group = (first + i) / header.GroupSize;
            var end = (int)Math.Min(target.Length, (group + 1) * header.GroupSize - first);
            var scale = BitConverter.ToSingle(file.Bytes(scales + 4 * group, 4));
            if (!(scale >= 0 && float.IsFinite(scale)))
            {
                throw new ModelFileException(
                    Path,
                    $"tensor {info.Name} has the scale {scale:R}; the file is damaged, or of an early exporter that stored scales last.",
                    "Export it again with llama2.c's present export.py.");
            }
            for (; i < end; i++) target[i] = codes[i] * scale;
        }
    }

    void PlaceAll()
    {
        var offset = (long)header.ByteCount;
        foreach (var stored in Llama2cLayout.Of(header))
        {
            var elements = stored.Columns is { } columns ? stored.Rows * columns : stored.Rows;
            if (stored.Quantized && elements % header.GroupSize != 0)
                throw Wrong($"tensor {stored.Name} has {elements} elements, which groups of {header.GroupSize} do not divide.");
            if (stored.Name is not null)
            {
                long[] shape = stored.Columns is { } width ? [stored.Rows, width] : [stored.Rows];
                tensors.Add(stored.Name, TensorInfo.Of(stored.Name, ElementType.F32, shape));
                places.Add(stored.Name, new Place(offset, stored.Quantized, stored.Rotated));
            }
            offset += StoredBytes(elements, stored.Quantized);
            if (offset > file.Length) throw Wrong($"its header asks for more than its {file.Length} bytes.");
        }
        if (offset != file.Length) throw Wrong($"its header asks for {offset} bytes, but it has {file.Length}.");
    }

    ModelFileException Wrong(string problem) =>
        new(Path, $"not a llama2.c model: {problem}", "Fetch the file again, or give a folder with config.json and model.safetensors.");
}
