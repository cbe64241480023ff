using System.Text;
using Compress.Formats.Checkpoints;
using Compress.Testing;

namespace Compress.Formats.Tests.Checkpoints;

public sealed class SafetensorsWriterTests : IDisposable
{
    readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void What_is_written_reads_back_aligned_and_the_same_every_time()
    {
        TensorInfo[] tensors =
        [
            TensorInfo.Of("odd", ElementType.U8, 3),
            TensorInfo.Of("层\"\\\n", ElementType.F32, 2, 2),
            TensorInfo.Of("scalar", ElementType.I64),
            TensorInfo.Of("empty", ElementType.BF16, 0, 5),
            TensorInfo.Of("nibbles", ElementType.F4, 6),
        ];
        var data = tensors.ToDictionary(t => t.Name, t => Enumerable.Range(1, (int)t.ByteCount).Select(i => (byte)i).ToArray());
        byte[] Write(string name, IEnumerable<TensorInfo> order)
        {
            using var writer = SafetensorsWriter.Create(folder.At(name), tensors);
            foreach (var t in order)
            {
                writer.Write(t.Name, data[t.Name].AsSpan(0, data[t.Name].Length / 2));
                writer.Write(t.Name, data[t.Name].AsSpan(data[t.Name].Length / 2));
            }
            Assert.False(File.Exists(folder.At(name)));
            writer.Complete();
            return File.ReadAllBytes(folder.At(name));
        }
        var first = Write("a", tensors);
        Assert.Equal(first, Write("b", tensors.Reverse()));
        Assert.Equal(first, Write("c", tensors));
        Assert.StartsWith("""{"__metadata__":{"format":"pt"},"scalar":{"dtype":"I64","shape":[],"data_offsets":[0,8]}""",
            Encoding.UTF8.GetString(first, 8, first.Length - 8), StringComparison.Ordinal);
        Assert.Equal(0, BitConverter.ToInt64(first) % 8);

        using var file = SafetensorsFile.Map(folder.At("a"));
        Assert.Equal("pt", file.Metadata["format"]);
        Assert.Equal(tensors.Select(t => t.Name).Order(StringComparer.Ordinal), file.Tensors.Keys.Order(StringComparer.Ordinal));
        foreach (var t in tensors)
        {
            var view = file.Open(t.Name);
            Assert.Equal(data[t.Name], view.Bytes(0, (int)t.ByteCount).ToArray());
            Assert.True(t.Shape.SequenceEqual(view.Info.Shape));
            Assert.Equal(0, view.Address % Math.Max(1, t.Type.Bits() / 8));
        }
    }

    [Fact]
    public void An_unfinished_file_leaves_the_old_one()
    {
        var path = folder.Write("a", "old");
        using (var writer = SafetensorsWriter.Create(path, [TensorInfo.Of("t", ElementType.U8, 4)]))
        {
            writer.Write("t", [1, 2]);
            Assert.Contains("2 of 4", Assert.Throws<InvalidOperationException>(writer.Complete).Message, StringComparison.Ordinal);
            Assert.Throws<ArgumentException>(() => writer.Write("t", [1, 2, 3]));
            Assert.Throws<ArgumentException>(() => writer.Write("u", [1]));
        }
        Assert.Equal("old", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void Wrong_declarations_and_places_are_refused()
    {
        var t = TensorInfo.Of("t", ElementType.U8, 4);
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Create(folder.At("a"), [t, t]));
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Create(folder.At("a"), [t with { ByteCount = 5 }]));
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Create(folder.At("a"), [t with { Name = "__metadata__" }]));
        Assert.Throws<ArgumentException>(() => TensorInfo.Of("t", ElementType.F4, 3));
        Assert.Throws<FileWriteException>(() => SafetensorsWriter.Create(folder.At("none", "a"), [t]));
        Assert.Empty(Directory.GetFiles(folder.Path));
    }
}
