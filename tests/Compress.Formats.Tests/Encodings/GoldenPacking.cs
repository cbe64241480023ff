using System.Runtime.InteropServices;
using System.Text.Json;
using Compress.Formats.Encodings;
using Compress.Testing;

namespace Compress.Formats.Tests.Encodings;

/// <summary>Reads the shared golden vectors of packing formats.</summary>
internal static class GoldenPacking
{
    public static IEnumerable<JsonElement> Cases(string file)
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(SharedData.At("golden", "packing", file)));
        return [.. json.RootElement.GetProperty("cases").EnumerateArray().Select(c => c.Clone())];
    }

    public static byte[] Bytes(this JsonElement test, string name) => Convert.FromHexString(test.GetProperty(name).GetString()!);

    public static T[] Values<T>(this JsonElement test, string name)
        where T : unmanaged => MemoryMarshal.Cast<byte, T>(test.Bytes(name)).ToArray();

    public static long[] Shape(this JsonElement test, string name) =>
        [.. test.GetProperty(name).EnumerateArray().Select(n => n.GetInt64())];

    public static string Name(this JsonElement test) => test.GetProperty("name").GetString()!;

    public static int Int(this JsonElement test, string name) => test.GetProperty(name).GetInt32();

    /// <summary>The transpose of a matrix <c>[rows, columns]</c>.</summary>
    public static T[] Transposed<T>(this T[] values, int rows, int columns)
    {
        var result = new T[values.Length];
        for (var r = 0; r < rows; r++)
        {
            for (var c = 0; c < columns; c++) result[c * rows + r] = values[r * columns + c];
        }
        return result;
    }

    /// <summary>Asserts that a weight decodes to exactly these bits.</summary>
    public static void AssertDecodes(GroupQuantizedWeight weight, float[] expected, string name)
    {
        var actual = new float[expected.Length];
        weight.Decode(actual);
        Assert.True(MemoryMarshal.AsBytes<float>(expected).SequenceEqual(MemoryMarshal.AsBytes<float>(actual)), name);
        weight.DecodeRow(weight.Rows - 1, actual.AsSpan(0, weight.Columns));
        Assert.Equal(expected.AsSpan(expected.Length - weight.Columns).ToArray(), actual.AsSpan(0, weight.Columns).ToArray());
    }

    public static void AssertSame(GroupQuantizedWeight expected, GroupQuantizedWeight actual)
    {
        Assert.Equal((expected.Rows, expected.Columns, expected.Bits, expected.GroupSize, expected.ScaleType),
            (actual.Rows, actual.Columns, actual.Bits, actual.GroupSize, actual.ScaleType));
        Assert.Equal(expected.Codes, actual.Codes);
        Assert.Equal(expected.Scales, actual.Scales);
        Assert.Equal(expected.Zeros, actual.Zeros);
        Assert.Equal(expected.GroupIndex, actual.GroupIndex);
    }

    public static InMemoryTensors Source(IEnumerable<PackedTensor> tensors)
    {
        var source = new InMemoryTensors();
        foreach (var t in tensors) source.Add(t.Info.Name, t.Info.Type, t.Bytes, [.. t.Info.Shape]);
        return source;
    }

    /// <summary>A random weight whose scales are halves.</summary>
    public static GroupQuantizedWeight Random(
        int rows, int columns, int bits, int groupSize, bool symmetric, bool activationOrder, int seed)
    {
        var random = new Random(seed);
        var groups = (columns + groupSize - 1) / groupSize;
        var index = Enumerable.Range(0, columns).Select(c => c / groupSize).ToArray();
        random.Shuffle(index);
        return new GroupQuantizedWeight
        {
            Rows = rows,
            Columns = columns,
            Bits = bits,
            GroupSize = groupSize,
            Symmetric = symmetric,
            Codes = [.. Enumerable.Range(0, rows * columns).Select(_ => (byte)random.Next(1 << bits))],
            Scales = [.. Enumerable.Range(0, rows * groups).Select(_ => (float)(Half)(0.001 + random.NextDouble()))],
            Zeros = [.. Enumerable.Range(0, rows * groups).Select(_ => symmetric ? 1 << (bits - 1) : random.Next(1 << bits))],
            ScaleType = Formats.Checkpoints.ElementType.F16,
            GroupIndex = activationOrder ? index : null,
        };
    }
}
