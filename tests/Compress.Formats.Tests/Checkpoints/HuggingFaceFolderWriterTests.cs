using System.Text;
using System.Text.Json;
using Compress.Formats.Checkpoints;
using Compress.Testing;

namespace Compress.Formats.Tests.Checkpoints;

public sealed class HuggingFaceFolderWriterTests : IDisposable
{
    static readonly JsonElement Config = JsonElement.Parse("""{"model_type":"llama","x":[1,2.50,"é<\u0001"],"eps":1e-05}""");

    readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Shards_are_filled_in_order_and_the_index_lists_them()
    {
        TensorInfo[] tensors = [U8("a", 4), U8("b", 4), U8("big", 20), U8("c", 9), U8("d", 1), U8("e", 1)];
        Write(folder.At("m"), tensors, new FolderWriterOptions { MaximumShardBytes = 10 });
        Assert.Equal(
            ["config.json", "model-00001-of-00004.safetensors", "model-00002-of-00004.safetensors", "model-00003-of-00004.safetensors",
             "model-00004-of-00004.safetensors", "model.safetensors.index.json"],
            Names(folder.At("m")));
        using var index = JsonDocument.Parse(File.ReadAllText(folder.At("m", "model.safetensors.index.json")));
        Assert.Equal(39, index.RootElement.GetProperty("metadata").GetProperty("total_size").GetInt64());
        Assert.Equal("model-00003-of-00004.safetensors", index.RootElement.GetProperty("weight_map").GetProperty("d").GetString());
        using var model = ModelFolder.Open(folder.At("m"));
        Assert.Equal(tensors.Select(t => t.Name), model.Tensors.Tensors.Keys);
        foreach (var t in tensors)
            Assert.Equal(new string(t.Name[0], (int)t.ByteCount),
                Encoding.ASCII.GetString(model.Tensors.Open(t.Name).Bytes(0, (int)t.ByteCount)));
        Assert.True(JsonElement.DeepEquals(Config, model.Config));
        Assert.Equal("{\n  \"model_type\": \"llama\",\n  \"x\": [\n    1,\n    2.50,\n    \"é<\\u0001\"\n  ],\n  \"eps\": 1e-05\n}\n",
            File.ReadAllText(folder.At("m", "config.json")));
    }

    [Fact]
    public void A_small_model_is_one_file_and_the_same_every_time()
    {
        TensorInfo[] tensors = [U8("a", 4), U8("b", 4)];
        Write(folder.At("m"), tensors);
        Write(folder.At("n"), tensors);
        Assert.Equal(["config.json", "model.safetensors"], Names(folder.At("m")));
        foreach (var name in Names(folder.At("m")))
            Assert.Equal(File.ReadAllBytes(folder.At("m", name)), File.ReadAllBytes(folder.At("n", name)));
        using var file = SafetensorsFile.Map(folder.At("m", "model.safetensors"));
        Assert.Equal("pt", file.Metadata["format"]);
    }

    [Fact]
    public void An_own_folder_is_replaced_whole_and_others_are_left_alone()
    {
        Write(folder.At("m"), [U8("a", 4), U8("b", 4)], new FolderWriterOptions { MaximumShardBytes = 4 });
        Write(folder.At("m"), [U8("c", 1)]);
        Assert.Equal(["config.json", "model.safetensors"], Names(folder.At("m")));

        Directory.CreateDirectory(folder.At("empty"));
        Write(folder.At("empty"), [U8("c", 1)]);

        folder.Write("m/notes.txt", "mine");
        Assert.Contains("notes.txt", Assert.Throws<ModelFileException>(() =>
            Write(folder.At("m"), [U8("c", 1)])).Message, StringComparison.Ordinal);
        Write(folder.At("m"), [U8("d", 1)], new FolderWriterOptions { Overwrite = true });
        Assert.Equal(["config.json", "model.safetensors"], Names(folder.At("m")));

        folder.Write("other/config.json", "{}");
        Assert.Throws<ModelFileException>(() => Write(folder.At("other"), [U8("c", 1)]));
        using (var writer = SafetensorsWriter.Create(folder.At("other", "model.safetensors"), [])) writer.Complete();
        Assert.Contains("not written by", Assert.Throws<ModelFileException>(() => Write(folder.At("other"), [U8("c", 1)])).Message,
            StringComparison.Ordinal);

        var file = folder.Write("file", "x");
        Assert.Throws<ModelFileException>(() => Write(file, [U8("c", 1)]));
        Assert.Equal(["empty", "file", "m", "other"], Names(folder.Path));
    }

    [Fact]
    public void An_unfinished_folder_leaves_the_old_one_and_its_remains_do_not_stand_in_the_way()
    {
        Write(folder.At("m"), [U8("a", 4)]);
        var before = File.ReadAllBytes(folder.At("m", "model.safetensors"));
        using (var writer = HuggingFaceFolderWriter.Create(folder.At("m"), Config, [U8("b", 4)]))
        {
            writer.Write("b", [1]);
            Assert.Throws<InvalidOperationException>(writer.Complete);
            Assert.Throws<ArgumentException>(() => writer.Write("z", [1]));
        }
        Assert.Equal(["m"], Names(folder.Path));
        Assert.Equal(before, File.ReadAllBytes(folder.At("m", "model.safetensors")));

        folder.Write("m.compress-partial/model.safetensors.partial", "remains of a killed process");
        Write(folder.At("m"), [U8("b", 4)]);
        Assert.Equal(["m"], Names(folder.Path));

        Directory.Move(folder.At("m"), folder.At("m.compress-old"));
        using (AtomicFolder.Create(folder.At("m"))) Assert.Equal(["config.json", "model.safetensors"], Names(folder.At("m")));
        Assert.Equal(["m"], Names(folder.Path));
    }

    [Fact]
    public void Support_files_are_copied_byte_for_byte_and_links_out_are_refused()
    {
        Write(folder.At("m"), [U8("a", 4)]);
        folder.Write("m/tokenizer.json", [1, 2, 3, 255]);
        folder.Write("m/generation_config.json", "{ \"a\" :1}");
        folder.Write("m/readme.md", "not copied");
        using (var source = ModelFolder.Open(folder.At("m")))
        using (var writer = HuggingFaceFolderWriter.Create(folder.At("n"), Config, []))
        {
            writer.CopySupportFiles(source);
            writer.Complete();
        }
        Assert.Equal(["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"], Names(folder.At("n")));
        Assert.Equal([1, 2, 3, 255], File.ReadAllBytes(folder.At("n", "tokenizer.json")));
        Assert.Equal("{ \"a\" :1}", File.ReadAllText(folder.At("n", "generation_config.json")));

        File.CreateSymbolicLink(folder.At("m", "merges.txt"), "/etc/hostname");
        using (var source = ModelFolder.Open(folder.At("m")))
        using (var writer = HuggingFaceFolderWriter.Create(folder.At("o"), Config, []))
        {
            Assert.Throws<ModelFileException>(() => writer.CopySupportFiles(source));
        }
        Assert.False(Directory.Exists(folder.At("o")));
    }

    [SharedDataFact]
    public void A_real_llama2c_model_becomes_a_folder_with_the_same_tensors()
    {
        using var original = ModelFolder.Open(SharedData.At("models", "stories260K", "stories260K.bin"));
        HuggingFaceFolderWriter.Copy(original, folder.At("m"), new FolderWriterOptions { MaximumShardBytes = 400_000 });
        using var copy = ModelFolder.Open(folder.At("m"));
        Assert.True(File.Exists(folder.At("m", "tokenizer.bin")));
        Assert.Equal(3, ((SafetensorsFolder)copy.Tensors).Files.Count);
        Assert.Equal(original.Tensors.Tensors.Count, copy.Tensors.Tensors.Count);
        foreach (var (name, info) in original.Tensors.Tensors)
            Assert.True(original.Tensors.Open(name).Bytes(0, (int)info.ByteCount).SequenceEqual(
                copy.Tensors.Open(name).Bytes(0, (int)info.ByteCount)));
        Assert.Equal(original.Spec.Blocks.Length, copy.Spec.Blocks.Length);
    }

    static TensorInfo U8(string name, long size) => TensorInfo.Of(name, ElementType.U8, size);

    static IEnumerable<string> Names(string path) =>
        Directory.EnumerateFileSystemEntries(path).Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal);

    static void Write(string path, TensorInfo[] tensors, FolderWriterOptions? options = null)
    {
        using var writer = HuggingFaceFolderWriter.Create(path, Config, tensors, options);
        foreach (var t in tensors) writer.Write(t.Name, Enumerable.Repeat((byte)t.Name[0], (int)t.ByteCount).ToArray());
        writer.Complete();
    }
}
