using Compress.Formats.Checkpoints;
using Compress.Testing;

namespace Compress.Formats.Tests.Checkpoints;

public sealed class ModelFolderTests : IDisposable
{
    readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_hugging_face_folder_opens()
    {
        folder.Write("config.json", "\uFEFF{\"model_type\":\"llama\",\"x\":2}");
        folder.Write("generation_config.json", """{"eos_token_id":[1,2]}""");
        Weights();
        using var model = ModelFolder.Open(folder.Path);
        Assert.Equal("llama", model.Config.GetProperty("model_type").GetString());
        Assert.Equal(2, model.Config.GetProperty("x").GetInt32());
        Assert.Equal(2, model.GenerationConfig!.Value.GetProperty("eos_token_id").GetArrayLength());
        Assert.Equal(5, model.Tensors.Open("a").Bytes(0, 1)[0]);
    }

    [Theory]
    [InlineData("pytorch_model.bin", true, "pickle", "save_pretrained")]
    [InlineData("pytorch_model.bin", false, "pickle", "save_pretrained")]
    [InlineData("consolidated.00.pth", true, "pickle", "save_pretrained")]
    [InlineData("last.ckpt", true, "pickle", "save_pretrained")]
    [InlineData("model.pt", true, "pickle", "save_pretrained")]
    [InlineData("weights.pkl", true, "pickle", "save_pretrained")]
    [InlineData("model-q4_k.gguf", true, "GGUF", "Hugging Face folder")]
    [InlineData("model.safetensors", false, "no config.json", "config.json")]
    [InlineData("readme.txt", true, "no weights", "model.safetensors")]
    [InlineData("readme.txt", false, "neither", "model.safetensors")]
    [InlineData(null, true, "no weights", "model.safetensors")]
    [InlineData(null, false, "empty", "model.safetensors")]
    public void Folders_that_cannot_be_read_say_why_and_what_to_do(string? file, bool config, string problem, string remedy)
    {
        if (file is not null) folder.Write(file, [0x80, 2, (byte)'}', (byte)'q', 0, 0, 0, 0]);
        if (config) folder.Write("config.json", "{}");
        var e = Assert.Throws<ModelFileException>(() => ModelFolder.Open(folder.Path));
        Assert.Contains(problem, e.Problem, StringComparison.Ordinal);
        Assert.Contains(remedy, e.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("pytorch_model.bin", "PK\u0003\u0004", "pickle")]
    [InlineData("model.pt", "anything", "pickle")]
    [InlineData("model.gguf", "GGUF", "GGUF")]
    [InlineData("model.safetensors", "", "one file")]
    [InlineData("config.json", "{}", "one file")]
    [InlineData("model.onnx", "", "not a model")]
    [InlineData("other.bin", "abcdefghijklmnopqrstuvwxyz0123", "llama2.c")]
    [InlineData("empty.bin", "", "llama2.c")]
    public void Files_that_cannot_be_read_say_why(string name, string content, string problem)
    {
        var path = folder.Write(name, content);
        var e = Assert.Throws<ModelFileException>(() => ModelFolder.Open(path));
        Assert.Contains(problem, e.Problem, StringComparison.Ordinal);
        Assert.NotNull(e.Remedy);
    }

    [Theory]
    [InlineData("", "not valid JSON")]
    [InlineData("{", "not valid JSON")]
    [InlineData("[]", "not a JSON object")]
    [InlineData("{\"x\":1,\"x\":2}", "appears twice")]
    [InlineData("{\"a\":\"\\ud800\"}", "Unicode")]
    public void A_broken_config_names_the_file(string config, string problem)
    {
        folder.Write("config.json", config);
        Weights();
        var e = Assert.Throws<ModelFileException>(() => ModelFolder.Open(folder.Path));
        Assert.Equal(folder.At("config.json"), e.File);
        Assert.Contains(problem, e.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void A_config_of_unreasonable_size_or_depth_is_refused()
    {
        Weights();
        folder.Write("config.json", new byte[(16 << 20) + 1]);
        Assert.Contains("at most", Assert.Throws<ModelFileException>(() =>
            ModelFolder.Open(folder.Path)).Message, StringComparison.Ordinal);
        folder.Write("config.json", new string('[', 10_000));
        Assert.Throws<ModelFileException>(() => ModelFolder.Open(folder.Path));
    }

    [Fact]
    public void Changed_bytes_of_the_config_never_crash()
    {
        Weights();
        var whole = """{"model_type":"llama","hidden_size":64,"eos_token_id":[1,2],"name":"é\n"}"""u8.ToArray();
        var random = new Random(1);
        var refused = 0;
        for (var round = 0; round < 500; round++)
        {
            var bytes = (byte[])whole.Clone();
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            folder.Write("config.json", round % 5 == 0 ? bytes[..random.Next(bytes.Length)] : bytes);
            try
            {
                using var model = ModelFolder.Open(folder.Path);
            }
            catch (ModelFileException)
            {
                refused++;
            }
        }
        Assert.InRange(refused, 150, 499);
    }

    [Fact]
    public void A_missing_path_and_links_out_of_the_folder_are_refused()
    {
        Assert.Contains("no such folder", Assert.Throws<ModelFileException>(() =>
            ModelFolder.Open(folder.At("none"))).Message, StringComparison.Ordinal);
        Weights();
        File.CreateSymbolicLink(folder.At("config.json"), "/etc/hostname");
        Assert.Contains("symbolic link", Assert.Throws<ModelFileException>(() =>
            ModelFolder.Open(folder.Path)).Message, StringComparison.Ordinal);
    }

    void Weights()
    {
        using var writer = SafetensorsWriter.Create(folder.At("model.safetensors"), [TensorInfo.Of("a", ElementType.U8, 1)]);
        writer.Write("a", [5]);
        writer.Complete();
    }
}
