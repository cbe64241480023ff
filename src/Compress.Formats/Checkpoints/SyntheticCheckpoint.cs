using System.Buffers.Binary;
using System.Text.Json;
using Compress.Formats.Architectures;

namespace Compress.Formats.Checkpoints;

/// <summary>
/// Writes a model of any size with random weights, tensor by tensor: a stand-in for a real one of the same shape where only time and
/// memory matter.
/// </summary>
/// <remarks>
/// Matrices are normal with deviation 0.02, norm scales one (zero where the family stores them less one), biases zero. The same model,
/// type and seed give the same bytes.
/// </remarks>
public static class SyntheticCheckpoint
{
    private const double Deviation = 0.02;

    /// <summary>Distinct values of a weight: enough for a smooth histogram, few enough to look up in cache.</summary>
    private const int TableSize = 1 << 14;

    /// <summary>Bytes written at a time; a multiple of every element size.</summary>
    private const int ChunkBytes = 1 << 20;

    /// <summary>Writes a model folder.</summary>
    /// <param name="target">The folder; see <see cref="HuggingFaceFolderWriter.Create"/>.</param>
    /// <param name="model">Configuration and shapes.</param>
    /// <param name="type">Type of every tensor: F32, F16 or BF16.</param>
    /// <param name="seed">Seed of the weights.</param>
    /// <param name="tokenizer">A model whose tokenizer files are copied along, or null.</param>
    /// <param name="written">Called after each tensor; what it throws ends the work and leaves nothing behind.</param>
    /// <exception cref="ArgumentOutOfRangeException">The type is not one of the three.</exception>
    /// <exception cref="ModelFileException">The folder cannot be written.</exception>
    public static void Write(
        string target, SyntheticModel model, ElementType type, int seed, ModelFolder? tokenizer = null, Action<TensorInfo>? written = null)
    {
        var scalesAreStoredLessOne = model.Spec.FinalNorm is { WeightOffset: not 0 };
        TensorInfo[] tensors = [.. SpecTensors.Expected(model.Spec).Select(t => TensorInfo.Of(t.Name, type, t.Shape.AsSpan()))];
        using var config = JsonDocument.Parse(model.Config.ToJsonString());
        using var writer = HuggingFaceFolderWriter.Create(target, config.RootElement, tensors);
        if (tokenizer is not null) writer.CopySupportFiles(tokenizer);
        var state = (ulong)seed;
        var table = NormalTable(type, ref state);
        var chunk = new byte[ChunkBytes];
        foreach (var tensor in tensors)
        {
            var matrix = tensor.Shape.Length > 1;
            if (!matrix) FillConstant(chunk, tensor.Name.EndsWith("bias", StringComparison.Ordinal) || scalesAreStoredLessOne ? 0 : 1, type);
            for (long at = 0; at < tensor.ByteCount; at += chunk.Length)
            {
                var part = chunk.AsSpan(0, (int)Math.Min(chunk.Length, tensor.ByteCount - at));
                if (matrix) FillRandom(part, table, ref state);
                writer.Write(tensor.Name, part);
            }
            written?.Invoke(tensor);
        }
        writer.Complete();
    }

    private static byte[] NormalTable(ElementType type, ref ulong state)
    {
        var size = type.Bits() / 8;
        var table = new byte[TableSize * size];
        for (var i = 0; i < TableSize; i += 2)
        {
            // Box and Muller; the uniform number of the logarithm must not be 0.
            var radius = Deviation * Math.Sqrt(-2 * Math.Log(1 - Uniform(ref state)));
            var value = radius * Math.Cos(2 * Math.PI * Uniform(ref state));
            // Both signs, so that the mean is exactly 0.
            Encode(value, type, table.AsSpan(i * size));
            Encode(-value, type, table.AsSpan((i + 1) * size));
        }
        return table;
    }

    private static void FillRandom(Span<byte> bytes, byte[] table, ref ulong state)
    {
        var size = table.Length / TableSize;
        for (var at = 0; at < bytes.Length; at += size)
        {
            var entry = (int)(Next(ref state) % TableSize);
            table.AsSpan(entry * size, size).CopyTo(bytes[at..]);
        }
    }

    private static void FillConstant(Span<byte> bytes, double value, ElementType type)
    {
        for (var at = 0; at < bytes.Length; at += type.Bits() / 8) Encode(value, type, bytes[at..]);
    }

    private static void Encode(double value, ElementType type, Span<byte> destination)
    {
        switch (type)
        {
            case ElementType.F32: BinaryPrimitives.WriteSingleLittleEndian(destination, (float)value); break;
            case ElementType.F16: BinaryPrimitives.WriteHalfLittleEndian(destination, (Half)value); break;
            case ElementType.BF16: BinaryPrimitives.WriteUInt16LittleEndian(destination, RoundToBFloat16((float)value)); break;
            default: throw new ArgumentOutOfRangeException(nameof(type), type, "weights are F32, F16 or BF16");
        }
    }

    /// <summary>Round to nearest, ties to even.</summary>
    private static ushort RoundToBFloat16(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    private static double Uniform(ref ulong state) => (Next(ref state) >> 11) * (1.0 / (1UL << 53));

    /// <summary>SplitMix64 (Steele, Lea and Flood 2014).</summary>
    private static ulong Next(ref ulong state)
    {
        unchecked
        {
            state += 0x9E3779B97F4A7C15;
            var z = state;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            return z ^ (z >> 31);
        }
    }
}
