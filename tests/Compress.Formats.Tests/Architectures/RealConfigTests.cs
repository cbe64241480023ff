using System.Collections.Immutable;
using System.Text.Json;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Testing;

namespace Compress.Formats.Tests.Architectures;

/// <summary>Configurations of real models: read as expected, or refused with the reason.</summary>
public class RealConfigTests
{
    /// <summary>Folder, blocks, hidden size, heads, KV heads, head size, MLP channels, tied head.</summary>
    public static TheoryData<string, int, int, int, int, int, int, bool> Read => new()
    {
        { "biomedlm-gpt2-2.7b", 32, 2560, 20, 20, 128, 10240, true },
        { "dolphin3-mistral-24b", 40, 5120, 32, 8, 128, 32768, false },
        { "gemma-2-2b-it-mtk", 26, 2304, 8, 4, 256, 9216, true },
        { "gemma-2-9b-it", 42, 3584, 16, 8, 256, 14336, true },
        { "gemma-2b", 18, 2048, 8, 1, 256, 16384, true },
        { "gpt2", 12, 768, 12, 12, 64, 3072, true },
        { "llama-2-13b", 40, 5120, 40, 40, 128, 13824, false },
        { "llama-2-7b", 32, 4096, 32, 32, 128, 11008, false },
        { "llama-3-8b-instruct", 32, 4096, 32, 8, 128, 14336, false },
        { "llama-3-8b-instruct-mtk", 32, 4096, 32, 8, 128, 14336, false },
        { "llama-3.1-8b", 32, 4096, 32, 8, 128, 14336, false },
        { "llama-3.2-1b-instruct", 16, 2048, 32, 8, 64, 8192, true },
        { "llama-3.2-1b-instruct-mtk", 16, 2048, 32, 8, 64, 8192, true },
        { "llama-3.2-3b", 28, 3072, 24, 8, 128, 8192, true },
        { "llama-3.2-3b-instruct-mtk", 28, 3072, 24, 8, 128, 8192, true },
        { "mistral-7b-v0.1", 32, 4096, 32, 8, 128, 14336, false },
        { "mistral-nemo-base-2407", 40, 5120, 32, 8, 128, 14336, false },
        { "opt-1.3b", 24, 2048, 32, 32, 64, 8192, true },
        { "opt-125m", 12, 768, 12, 12, 64, 3072, true },
        { "opt-6.7b", 32, 4096, 32, 32, 128, 16384, true },
        { "phi-1_5", 24, 2048, 32, 32, 64, 8192, false },
        { "phi-2", 32, 2560, 32, 32, 80, 10240, false },
        { "phi-3-medium-4k-instruct", 40, 5120, 40, 10, 128, 17920, false },
        { "phi-3-mini-128k-instruct", 32, 3072, 32, 32, 96, 8192, false },
        { "phi-3-mini-4k-instruct", 32, 3072, 32, 32, 96, 8192, false },
        { "phi-3.5-mini-instruct-mtk", 32, 3072, 32, 32, 96, 8192, false },
        { "qwen2-1.5b-instruct-mtk", 28, 1536, 12, 2, 128, 8960, true },
        { "qwen2.5-0.5b-instruct-mtk", 24, 896, 14, 2, 64, 4864, true },
        { "qwen2.5-3b", 36, 2048, 16, 2, 128, 11008, true },
        { "qwen2.5-3b-mtk", 36, 2048, 16, 2, 128, 11008, true },
        { "qwen2.5-7b", 28, 3584, 28, 4, 128, 18944, false },
        { "qwen3-1.7b-mtk", 28, 2048, 16, 8, 128, 6144, true },
        { "qwen3-4b", 36, 2560, 32, 8, 128, 9728, true },
        { "qwen3-4b-mtk", 36, 2560, 32, 8, 128, 9728, true },
        { "qwen3-8b", 36, 4096, 32, 8, 128, 12288, false },
        { "smollm2-135m", 30, 576, 9, 3, 64, 1536, true },
        { "tinyllama-1.1b-chat", 22, 2048, 32, 4, 64, 5632, false },
    };

    /// <summary>Folder and what the refusal must name.</summary>
    public static TheoryData<string, string> Refused => new()
    {
        { "all-minilm-l6-v2", "\"model_type\" is \"bert\"" },
        { "bert-base-uncased", "\"model_type\" is \"bert\"" },
        { "distilbert-clinical", "\"model_type\" is \"distilbert\"" },
        { "falcon-180b-chat", "\"model_type\" is \"falcon\"" },
        { "gemma-3-1b-it-mtk", "\"model_type\" is \"gemma3\"" },
        { "gpt-j-as-gpt-neo", "\"rotary\" is true" },
        { "llama-3.1-8b-int8-bnb", "\"quantization_config\" is set" },
        { "phi-4-mini-reasoning-mtk", "\"model_type\" is \"phi4\"" },
        { "pythia-oasst-rm", "\"model_type\" is \"gpt_neox_reward_model\"" },
        { "qwen3-30b-a3b", "\"model_type\" is \"qwen3_moe\"" },
        { "t5-small", "\"model_type\" is \"t5\"" },
        { "wizardlm-2-8x22b-mixtral", "\"model_type\" is \"mixtral\"" },
    };

    [SharedDataTheory]
    [MemberData(nameof(Read))]
    public void Is_read(string folder, int blocks, int hidden, int heads, int keyValueHeads, int headSize, int channels, bool tied)
    {
        using var config = Config(folder);
        var spec = ArchitectureRegistry.Read(config.RootElement, folder);
        Assert.Equal(blocks, spec.Blocks.Length);
        Assert.Equal(hidden, spec.HiddenSize);
        Assert.Equal(tied, spec.Head.Tied);
        Assert.All(spec.Blocks, block =>
        {
            var attention = block.Attention!;
            Assert.Equal((heads, keyValueHeads, headSize), (attention.Heads, attention.KeyValueHeads, attention.HeadSize));
            Assert.Equal(channels, block.Mlp!.Up.OutFeatures);
        });
    }

    [SharedDataTheory]
    [MemberData(nameof(Refused))]
    public void Is_refused(string folder, string reason)
    {
        using var config = Config(folder);
        var failure = Assert.Throws<ModelFileException>(() => ArchitectureRegistry.Read(config.RootElement, folder));
        Assert.Contains(reason, failure.Message, StringComparison.Ordinal);
        Assert.StartsWith(folder, failure.Message, StringComparison.Ordinal);
    }

    [SharedDataFact]
    public void Every_configuration_is_in_one_of_the_two_tables()
    {
        var listed = Read.Select(r => (string)r[0]).Concat(Refused.Select(r => (string)r[0])).Order();
        Assert.Equal(Directory.GetDirectories(SharedData.At("configs")).Select(d => Path.GetFileName(d)!).Order(), listed);
    }

    [SharedDataTheory]
    [InlineData("dolphin3-mistral-24b")]
    [InlineData("gemma-2b")]
    [InlineData("phi-1_5")]
    public void Its_tensors_are_those_of_the_checkpoint(string folder)
    {
        using var config = Config(folder);
        var tensors = Tensors(folder);
        var spec = ArchitectureRegistry.Read(config.RootElement, tensors, folder);
        Assert.Equal(tensors.Keys.Order(), SpecTensors.Expected(spec).Select(e => e.Name).Order());
    }

    [SharedDataFact]
    public void A_reward_model_declared_as_its_base_is_refused_with_its_tensors()
    {
        // Pythia's names and shapes match but for the head.
        using var config = Config("pythia-oasst-rm", ("gpt_neox_reward_model", "gpt_neox"));
        var failure = Assert.Throws<ModelFileException>(
            () => ArchitectureRegistry.Read(config.RootElement, Tensors("pythia-oasst-rm"), "model"));
        Assert.Contains("1 missing: embed_out.weight [50288, 2048]", failure.Message, StringComparison.Ordinal);
        Assert.Contains("2 unknown: out_proj.bias, out_proj.weight", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("shape", failure.Message, StringComparison.Ordinal);
    }

    [SharedDataFact]
    public void Scaled_frequencies_of_llama_3_leave_short_wavelengths_alone()
    {
        using var config = Config("llama-3.2-1b-instruct");
        var rotary = ArchitectureRegistry.Read(config.RootElement, "config.json").Blocks[0].Attention!.Rotary!;
        Assert.Equal(32, rotary.InverseFrequencies.Length);
        Assert.Equal(1, rotary.InverseFrequencies[0]);
        // The longest wavelength is stretched by the whole factor.
        Assert.Equal(Math.Pow(500000, -62.0 / 64) / 32, rotary.InverseFrequencies[31], 1e-15);
    }

    private static JsonDocument Config(string folder, (string Old, string New)? change = null)
    {
        var text = File.ReadAllText(SharedData.At("configs", folder, "config.json"));
        return JsonDocument.Parse(change is { } c ? text.Replace(c.Old, c.New, StringComparison.Ordinal) : text);
    }

    private static Dictionary<string, TensorInfo> Tensors(string folder)
    {
        using var document = JsonDocument.Parse(File.ReadAllText(SharedData.At("configs", folder, "tensors.json")));
        return document.RootElement.GetProperty("tensors").EnumerateObject().ToDictionary(p => p.Name, p =>
        {
            ImmutableArray<long> shape = [.. p.Value.EnumerateArray().Select(n => n.GetInt64())];
            return new TensorInfo(p.Name, ElementType.BF16, shape, 2 * shape.Aggregate(1L, (a, b) => a * b));
        });
    }
}
