using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text.Json;
using Compress.Formats;
using static TorchSharp.torch;

namespace Compress.Distill.Training;

/// <summary>Where a training run stands, apart from the tensors.</summary>
/// <param name="Step">Steps seen, dropped ones included: the position in the data.</param>
/// <param name="OptimizerSteps">Steps taken: the exponent of bias correction.</param>
/// <param name="SmoothedLoss">Running mean of the loss.</param>
/// <param name="DroppedInARow">Steps dropped since the last one taken.</param>
public sealed record TrainingPosition(int Step, int OptimizerSteps, double? SmoothedLoss, int DroppedInARow);

/// <summary>The file from which a killed run continues: position, f32 masters and both moments.</summary>
/// <remarks>
/// Layout: header length (u32, little-endian), header (JSON: fingerprint, parameter layout, position), the vectors of
/// <see cref="AdamW.State"/> as f32, SHA-256 of everything before it. The file is written beside its name, flushed to the disk
/// and renamed, so that a kill at any moment leaves the older or the newer checkpoint whole.
/// </remarks>
public static class TrainingCheckpoint
{
    const int LongestHeader = 1 << 20;

    sealed record Header(string Fingerprint, string Layout, TrainingPosition Position);

    /// <summary>Writes the state, replacing an older file at once.</summary>
    public static void Save(string path, string fingerprint, AdamW optimizer, TrainingPosition position)
    {
        using var scope = NewDisposeScope();
        var partial = path + ".partial";
        using (var file = new FileStream(partial, FileMode.Create, FileAccess.Write))
        using (var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256))
        {
            var header = JsonSerializer.SerializeToUtf8Bytes(new Header(fingerprint, optimizer.Layout, position));
            Span<byte> length = stackalloc byte[sizeof(uint)];
            BinaryPrimitives.WriteUInt32LittleEndian(length, (uint)header.Length);
            Write(length);
            Write(header);
            foreach (var (_, value) in optimizer.State) Write(value.cpu().bytes);
            file.Write(hash.GetHashAndReset());
            file.Flush(flushToDisk: true);

            void Write(ReadOnlySpan<byte> bytes)
            {
                hash.AppendData(bytes);
                file.Write(bytes);
            }
        }
        File.Move(partial, path, overwrite: true);
    }

    /// <summary>Loads the state into the optimiser (and so into its model), where a checkpoint exists.</summary>
    /// <returns>The position, or null where there is no file.</returns>
    /// <exception cref="ModelFileException">The file is damaged, or of another recipe, corpus or model shape.</exception>
    public static TrainingPosition? TryRestore(string path, string fingerprint, AdamW optimizer)
    {
        if (!File.Exists(path)) return null;
        using var scope = NewDisposeScope();
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        try
        {
            var header = ReadHeader();
            if (header.Fingerprint != fingerprint || header.Layout != optimizer.Layout) throw Foreign(path);
            var read = optimizer.State.Select(s => (s.Value, Loaded: Vector(s.Value))).ToList();
            var stored = new byte[SHA256.HashSizeInBytes];
            file.ReadExactly(stored);
            if (!hash.GetHashAndReset().AsSpan().SequenceEqual(stored)) throw Damaged(path, null);
            foreach (var (value, loaded) in read) value.copy_(loaded);
            optimizer.Restore(header.Position.OptimizerSteps);
            return header.Position;
        }
        catch (Exception e) when (e is EndOfStreamException or JsonException or InvalidDataException)
        {
            throw Damaged(path, e);
        }

        Header ReadHeader()
        {
            Span<byte> length = stackalloc byte[sizeof(uint)];
            file.ReadExactly(length);
            hash.AppendData(length);
            var size = BinaryPrimitives.ReadUInt32LittleEndian(length);
            if (size > LongestHeader) throw new InvalidDataException("header too long");
            var json = new byte[size];
            file.ReadExactly(json);
            hash.AppendData(json);
            return JsonSerializer.Deserialize<Header>(json) ?? throw new InvalidDataException("empty header");
        }

        Tensor Vector(Tensor like)
        {
            var vector = empty(like.shape, float32);
            file.ReadExactly(vector.bytes);
            hash.AppendData(vector.bytes);
            return vector;
        }
    }

    static ModelFileException Foreign(string path) => new(path, "this checkpoint belongs to another recipe, corpus or model shape.",
        "Delete it to begin anew, or give the run another name.");

    static ModelFileException Damaged(string path, Exception? cause) =>
        new(path, "the checkpoint is damaged.", "Delete it to begin anew.", cause);
}
