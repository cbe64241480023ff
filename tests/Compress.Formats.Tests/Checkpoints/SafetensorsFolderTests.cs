using Compress.Formats.Checkpoints;
using Compress.Testing;

namespace Compress.Formats.Tests.Checkpoints;

public sealed class SafetensorsFolderTests : IDisposable
{
    readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Shards_are_read_as_one()
    {
        Shard("model-00001-of-00002.safetensors", ("b", 2), ("a", 1));
        Shard("model-00002-of-00002.safetensors", ("c", 3));
        Shard("model.safetensors", ("old", 9));
        Index("""
            {"metadata":{"total_size":3},
             "weight_map":{"c":"model-00002-of-00002.safetensors",
                           "a":"model-00001-of-00002.safetensors",
                           "b":"model-00001-of-00002.safetensors"}}
            """);
        using var source = SafetensorsFolder.Map(folder.Path);
        Assert.Equal(["b", "a", "c"], source.Tensors.Keys);
        Assert.Equal([1, 2, 3], new[] { "a", "b", "c" }.Select(n => (int)source.Open(n).Bytes(0, 1)[0]));
        Assert.Contains("Known are", Assert.Throws<ModelFileException>(() => source.Open("nowhere")).Message, StringComparison.Ordinal);
        var view = source.Open("a");
        source.Dispose();
        Assert.Throws<ObjectDisposedException>(() => view.Bytes(0, 1).Length);
    }

    [Theory]
    [InlineData("../outside.safetensors", "plain file name")]
    [InlineData("sub/inside.safetensors", "plain file name")]
    [InlineData("..", "plain file name")]
    [InlineData("/etc/passwd", "plain file name")]
    [InlineData("C:\\\\model.safetensors", "plain file name")]
    [InlineData("", "plain file name")]
    [InlineData("\\u0000", "plain file name")]
    [InlineData("none.safetensors", "missing")]
    [InlineData("link.safetensors", "outside its folder")]
    [InlineData("chain.safetensors", "outside its folder")]
    [InlineData("circle.safetensors", "circles")]
    public void An_index_cannot_lead_elsewhere(string name, string problem)
    {
        var outside = Path.Combine(Path.GetDirectoryName(folder.Path)!, Path.GetFileName(folder.Path) + "-outside.safetensors");
        Shard(outside, ("a", 1));
        try
        {
            File.CreateSymbolicLink(folder.At("link.safetensors"), outside);
            Directory.CreateSymbolicLink(folder.At("sub"), Path.GetDirectoryName(folder.Path)!);
            File.CreateSymbolicLink(folder.At("chain.safetensors"), Path.Combine("sub", Path.GetFileName(outside)));
            File.CreateSymbolicLink(folder.At("circle.safetensors"), "circle.safetensors");
            Index("{\"weight_map\":{\"a\":\"" + name + "\"}}");
            var e = Assert.Throws<ModelFileException>(() => SafetensorsFolder.Map(folder.Path));
            Assert.Contains(problem, e.Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(outside);
        }
    }

    [Fact]
    public void A_link_inside_the_folder_and_the_hub_cache_are_followed()
    {
        Directory.CreateDirectory(folder.At("blobs"));
        Directory.CreateDirectory(folder.At("snapshots", "1a2b"));
        Shard(folder.At("blobs", "abc"), ("a", 7));
        File.CreateSymbolicLink(folder.At("snapshots", "1a2b", "model.safetensors"), "../../blobs/abc");
        using (var source = SafetensorsFolder.Map(folder.At("snapshots", "1a2b"))) Assert.Equal(7, source.Open("a").Bytes(0, 1)[0]);
        File.CreateSymbolicLink(folder.At("blobs", "model.safetensors"), "abc");
        using (var source = SafetensorsFolder.Map(folder.At("blobs"))) Assert.Equal(7, source.Open("a").Bytes(0, 1)[0]);
    }

    [Theory]
    [InlineData("""{"weight_map":{"a":"1.safetensors","b":"2.safetensors","c":"2.safetensors"}}""", "does not have it")]
    [InlineData("""{"weight_map":{"a":"1.safetensors"}}""", null)]
    [InlineData("""{"weight_map":{"b":"2.safetensors"}}""", null)]
    [InlineData("""{"weight_map":{"a":"1.safetensors","b":"1.safetensors"}}""", "does not have it")]
    [InlineData("""{"weight_map":{"a":"2.safetensors","b":"2.safetensors","x":"1.safetensors"}}""", "but 1.safetensors has it")]
    [InlineData("""{"weight_map":{"a":"1.safetensors","x":"2.safetensors"}}""", "does not list")]
    [InlineData("""{"weight_map":{"a":"1.safetensors","a":"2.safetensors"}}""", "appears twice")]
    [InlineData("""{"weight_map":{"a":1}}""", "not mapped")]
    [InlineData("""{"weight_map":[]}""", "weight_map")]
    [InlineData("""{"weight_map":{}}""", "empty")]
    [InlineData("""{"weight_map":{"\ud800":"1.safetensors"}}""", "Unicode")]
    [InlineData("[]", "not a JSON object")]
    [InlineData("{", "not valid JSON")]
    [InlineData("", "not valid JSON")]
    public void Index_and_shards_must_agree(string index, string? problem)
    {
        Shard("1.safetensors", ("a", 1));
        Shard("2.safetensors", ("b", 2));
        Index(index);
        if (problem is null)
        {
            SafetensorsFolder.Map(folder.Path).Dispose();
            return;
        }
        var e = Assert.Throws<ModelFileException>(() => SafetensorsFolder.Map(folder.Path));
        Assert.Contains(problem, e.Message, StringComparison.Ordinal);
        Assert.Equal(folder.At("model.safetensors.index.json"), e.File);
    }

    [Fact]
    public void A_tensor_in_two_shards_is_refused()
    {
        Shard("1.safetensors", ("a", 1));
        Shard("2.safetensors", ("a", 2), ("b", 2));
        Index("""{"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}""");
        Assert.Throws<ModelFileException>(() => SafetensorsFolder.Map(folder.Path));
    }

    [Fact]
    public void A_changed_byte_of_the_index_is_a_file_error_or_harmless()
    {
        Shard("1.safetensors", ("a", 1));
        Shard("2.safetensors", ("b", 2));
        var whole = """{"metadata":{"total_size":2},"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}"""u8.ToArray();
        var refused = 0;
        for (var i = 0; i < whole.Length; i++)
        {
            foreach (var value in "\0\"{}[]:,\\9/\u00ff"u8.ToArray())
            {
                var bytes = (byte[])whole.Clone();
                bytes[i] = value;
                folder.Write("model.safetensors.index.json", bytes);
                try
                {
                    SafetensorsFolder.Map(folder.Path).Dispose();
                }
                catch (ModelFileException)
                {
                    refused++;
                }
            }
        }
        Assert.InRange(refused, 10 * 40, 13 * whole.Length);
    }

    [Fact]
    public void Other_names_are_explained()
    {
        Assert.Contains("no safetensors", Assert.Throws<ModelFileException>(() =>
            SafetensorsFolder.Map(folder.Path)).Message, StringComparison.Ordinal);
        Shard("model-00001-of-00002.safetensors", ("a", 1));
        Assert.Contains("index.json", Assert.Throws<ModelFileException>(() =>
            SafetensorsFolder.Map(folder.Path)).Remedy, StringComparison.Ordinal);
    }

    void Index(string json) => folder.Write("model.safetensors.index.json", json);

    void Shard(string name, params (string Name, byte Value)[] tensors)
    {
        using var writer = SafetensorsWriter.Create(folder.At(name), tensors.Select(t => TensorInfo.Of(t.Name, ElementType.U8, 1)));
        foreach (var t in tensors) writer.Write(t.Name, [t.Value]);
        writer.Complete();
    }
}
