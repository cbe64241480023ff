using System.Runtime.InteropServices;
using System.Text.Json;
using Compress.Core.Graph;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using Compress.Testing;
using TorchSharp;

namespace Compress.Core.Tests.Graph;

/// <summary>Trained models reach the losses that independent implementations measured on them.</summary>
public class RealWeightsTests
{
    [SharedDataTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void Stories260K_reaches_its_loss(bool bf16)
    {
        using var model = ModelFolder.Open(SharedData.At("models", "stories260K", "stories260K.bin"));
        var tokenizer = model.LoadTokenizer();
        using var graph = ModelGraph.Load(model.Tensors, model.Spec, torch.float32, torch.CPU);
        graph.ComputeType = bf16 ? torch.bfloat16 : null;
        var (loss, targets) = Loss(graph, Stories(25).Select(s => tokenizer.Encode(s).Take(512).ToArray()));
        Assert.Equal(8534, targets);
        Assert.Equal(1.2874, loss, bf16 ? 2e-3 : 5e-5);
    }

    [SharedDataFact]
    public void Babyllama_reaches_its_loss()
    {
        using var model = ModelFolder.Open(SharedData.At("models", "babyllama-tok105", "model5000.bin"));
        using var graph = ModelGraph.Load(model.Tensors, model.Spec, torch.float32, torch.CPU);
        var ids = File.ReadLines(SharedData.At("models", "babyllama-tok105", "tok105.vocab"))
            .Select((line, id) => (Piece: line.Split('\t')[0].Replace('\u2581', ' '), id)).ToDictionary(p => p.Piece, p => p.id);
        var (loss, targets) = Loss(graph, Stories(27).Select(story =>
        {
            var text = " " + string.Join(' ', story.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
            return text.Select(c => ids.GetValueOrDefault(c.ToString(), 0)).Prepend(1).Take(256).ToArray();
        }));
        Assert.Equal(6885, targets);
        Assert.Equal(0.574, loss, 5e-4);
    }

    [SharedDataFact]
    public void Gpt_nano_sorts_every_input()
    {
        using var tensors = GptNano(out var spec);
        using var graph = ModelGraph.Load(tensors, spec, torch.float32, torch.CPU);
        using var scope = torch.NewDisposeScope();
        using var _ = torch.no_grad();
        var inputs = torch.cartesian_prod([.. Enumerable.Repeat(torch.arange(3, torch.int64), 6)]);
        Assert.Equal([729, 6], inputs.shape);
        var sequence = inputs;
        for (var i = 0; i < 6; i++) sequence = torch.cat([sequence, graph.Forward(sequence).narrow(1, -1, 1).argmax(-1)], 1);
        var (sorted, _) = inputs.sort(1);
        Assert.Equal(729, sequence.narrow(1, 6, 6).eq(sorted).all(1).sum().item<long>());
    }

    [SharedDataFact]
    public void Gpt_nano_gives_the_logits_of_its_trainer()
    {
        using var tensors = GptNano(out var spec);
        using var graph = ModelGraph.Load(tensors, spec, torch.float32, torch.CPU);
        using var file = JsonDocument.Parse(File.ReadAllText(SharedData.At("models", "gpt-nano-sort", "gpt-nano-sort-t0-partials.json")));
        var (expected, shape) = Floats(file.RootElement.GetProperty("lm_head"));
        using var scope = torch.NewDisposeScope();
        using var _ = torch.no_grad();
        var ids = torch.from_array(Floats(file.RootElement.GetProperty("idx")).Values).view(3, 11).to(torch.int64);
        var difference = graph.Forward(ids) - torch.from_array(expected).view(shape);
        Assert.True(difference.abs().max().item<float>() < 1e-4, $"{difference.abs().max().item<float>()}");
    }

    private static (double Loss, long Targets) Loss(ModelGraph graph, IEnumerable<int[]> documents)
    {
        using var _ = torch.no_grad();
        var (sum, count) = (0.0, 0L);
        foreach (var document in documents)
        {
            using var scope = torch.NewDisposeScope();
            var ids = torch.tensor(document, torch.int64).unsqueeze(0);
            var targets = document.Length - 1;
            sum += graph.CrossEntropy(ids.narrow(1, 0, targets), ids.narrow(1, 1, targets)).item<float>() * targets;
            count += targets;
        }
        return (sum / count, count);
    }

    /// <summary>The stories that SOURCE.md's figures were measured on.</summary>
    private static IEnumerable<string> Stories(int count)
    {
        const string Opening = "Once upon a time";
        return File.ReadAllText(SharedData.At("text", "tinystories", "tinystories_val.txt"))
            .Split("\n\n" + Opening).Skip(1).Select(s => Opening + s).Where(s => s.Length < 1500).Take(count);
    }

    /// <summary>minGPT stores <c>[out, in]</c>; a Hugging Face checkpoint of the same model stores <c>[in, out]</c>.</summary>
    private static MemoryTensors GptNano(out ModelSpec spec)
    {
        using var file = JsonDocument.Parse(File.ReadAllText(SharedData.At("models", "gpt-nano-sort", "gpt-nano-sort-model.json")));
        var tensors = new MemoryTensors();
        foreach (var entry in file.RootElement.EnumerateObject().Where(e => e.Name != "config"))
        {
            var (values, shape) = Floats(entry.Value);
            var transposed = entry.Name.Contains(".c_", StringComparison.Ordinal) && shape.Length == 2;
            if (transposed)
            {
                using var scope = torch.NewDisposeScope();
                values = torch.from_array(values).view(shape).t().contiguous().flatten().data<float>().ToArray();
                shape = [shape[1], shape[0]];
            }
            tensors.Add(entry.Name, [.. shape], values);
        }
        using var config = JsonDocument.Parse("""
            {"model_type": "gpt2", "n_embd": 48, "n_head": 3, "n_layer": 3, "n_positions": 11, "vocab_size": 3,
             "tie_word_embeddings": false}
            """);
        spec = ArchitectureRegistry.Read(config.RootElement, tensors.Tensors, "gpt-nano");
        return tensors;
    }

    private static (float[] Values, long[] Shape) Floats(JsonElement tensor) => (
        MemoryMarshal.Cast<byte, float>(Bytes(tensor)).ToArray(),
        [.. tensor.GetProperty("shape").EnumerateArray().Select(n => n.GetInt64())]);

    private static byte[] Bytes(JsonElement tensor) => Convert.FromBase64String(tensor.GetProperty("data").GetString()!);
}
