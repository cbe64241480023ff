using System.Text.RegularExpressions;
using Compress.Core.Evaluation;
using Compress.Formats.Checkpoints;
using Compress.Testing;

namespace Compress.Core.Tests.Evaluation;

/// <summary>Trained models against numbers that other programs measured.</summary>
public class RealModelTests
{
    /// <summary>Running perplexity of llama.cpp's <c>perplexity -c 256</c> on the f32 GGUF of the same weights, and a float64 recomputation.</summary>
    [SharedDataTheory]
    [InlineData(1, 4.0444, 4.04441)]
    [InlineData(5, 3.5179, 3.51786)]
    [InlineData(40, 3.8232, 3.82317)]
    public async Task Stories260K_has_the_perplexity_of_llama_cpp(int windows, double llamaCpp, double recomputed)
    {
        using var model = ModelFolder.Open(SharedData.At("models", "stories260K", "stories260K.bin"));
        var protocol = EvaluationProtocol.Find("llama_cpp");
        var text = await File.ReadAllTextAsync(SharedData.At("text", "tinystories", "tinystories_val.txt"));
        var tokens = protocol.Read([text], model.LoadTokenizer(), "tinystories_val.txt");
        Assert.Equal(393_019, tokens.Ids.Length);

        var result = await Evaluator.EvaluateAsync(
            new EvaluatedModel(model.Tensors, model.Spec), null, tokens, protocol,
            new EvaluationOptions { Window = 256, MaxWindows = windows });
        Assert.Equal(127 * windows, result.Tokens);
        Assert.Equal(llamaCpp, result.Perplexity, 4);
        Assert.Equal(recomputed, result.Perplexity, 4.5e-5);
    }

    /// <summary>25 stories of the validation split, each on its own: a numpy forward measured 1.2874 nats over 8,534 tokens.</summary>
    [SharedDataFact]
    public async Task Stories260K_has_the_loss_of_an_independent_forward()
    {
        using var model = ModelFolder.Open(SharedData.At("models", "stories260K", "stories260K.bin"));
        var protocol = EvaluationProtocol.Find("documents");
        var tokens = protocol.Read(Stories().Take(25), model.LoadTokenizer(), "25 stories");
        var result = await Evaluator.EvaluateAsync(new EvaluatedModel(model.Tensors, model.Spec), null, tokens, protocol);
        Assert.Equal(25, result.Windows);
        Assert.Equal(8534, result.Tokens);
        Assert.Equal(1.2874, result.MeanNll, 4);
    }

    /// <summary>6,885 characters of the validation split, each story cut at 256 tokens: 0.574 nats a character were measured.</summary>
    [SharedDataFact]
    public async Task Babyllama_has_the_loss_of_an_independent_forward()
    {
        using var model = ModelFolder.Open(SharedData.At("models", "babyllama-tok105", "model5000.bin"));
        var protocol = EvaluationProtocol.Find("documents");
        var tokens = protocol.Read(Stories().Take(27).Select(s => Regex.Replace(s, @"\s+", " ")), model.LoadTokenizer(), "27 stories");
        var result = await Evaluator.EvaluateAsync(new EvaluatedModel(model.Tensors, model.Spec), null, tokens, protocol);
        Assert.Equal(6885, result.Tokens);
        Assert.Equal(0.574, result.MeanNll, 3);
        // One character is one byte in these stories, so both figures say the same.
        Assert.Equal(result.MeanNll / Math.Log(2), result.BitsPerByte!.Value, 2);
    }

    /// <summary>The file separates stories and paragraphs alike: a story ends where the next one begins.</summary>
    private static IEnumerable<string> Stories() =>
        Regex.Split(File.ReadAllText(SharedData.At("text", "tinystories", "tinystories_val.txt")), "\n\n(?=Once upon a time)")
            .Select(s => s.Trim()).Where(s => s.StartsWith("Once upon a time", StringComparison.Ordinal) && s.Length < 1500);
}
