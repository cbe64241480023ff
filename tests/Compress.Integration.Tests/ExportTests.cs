using Compress.Core.Evaluation;
using Compress.Formats.Checkpoints;
using Compress.Runtime.Model;
using Compress.Testing;
using TorchSharp;

namespace Compress.Integration.Tests;

public sealed class ExportTests : IDisposable
{
    private const string Stages = """
        - prune: { method: wanda, pattern: "2:4" }
          - quantize: { method: gptq, bits: 4, group_size: 32, keep: sparsity }
        """;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [SharedDataFact]
    public async Task An_exported_model_measures_as_the_run_said()
    {
        var model = TestModel.Open("stories260K", folder);
        var result = await Runner.Run(folder, Runner.Recipe(model, Stages));
        var reported = Assert.Single(result.Evaluations);
        using var original = ModelFolder.Open(model.Path);
        using var exported = ModelFolder.Open(Assert.Single(result.Exports).Path);
        var protocol = EvaluationProtocol.Find("gptq");
        // The exported folder brings its own tokenizer.
        var tokens = protocol.Read([File.ReadAllText(model.Heldout)], exported.LoadTokenizer(), Path.GetFileName(model.Heldout));
        var measured = await Evaluator.EvaluateAsync(
            new EvaluatedModel(exported.Tensors, exported.Spec), new EvaluatedModel(original.Tensors, original.Spec), tokens, protocol,
            new EvaluationOptions { Window = 256, MaxWindows = 48 });
        Assert.Equal(reported, measured);
    }

    [SharedDataFact]
    public async Task Two_of_four_weights_are_zero_in_every_group_and_quantization_keeps_them()
    {
        var model = TestModel.Open("stories260K", folder);
        var result = await Runner.Run(folder, Runner.Recipe(model, Stages));
        using var original = ModelFolder.Open(model.Path);
        using var exported = ModelFolder.Open(Assert.Single(result.Exports).Path);
        var before = WandaMaskTests.Values(original);
        var after = WandaMaskTests.Values(exported);
        var groups = 0;
        foreach (var site in result.Sites.Select(s => s.Site).Distinct())
        {
            foreach (var group in after[site + ".weight"].Chunk(4))
            {
                // Quantization may round a kept weight to zero, never a removed one away from it.
                Assert.True(group.Count(w => w == 0) >= 2, site);
                groups++;
            }
            Assert.NotEqual(before[site + ".weight"], after[site + ".weight"]);
        }
        Assert.Equal(original.Spec.Blocks.Length * 7, result.Sites.Select(s => s.Site).Distinct().Count());
        Assert.True(groups > 40_000);
    }

    [SharedDataFact]
    public async Task Pruning_alone_leaves_exactly_two_of_four()
    {
        var model = TestModel.Open("babyllama", folder);
        var result = await Runner.Run(folder, Runner.Recipe(model, "- prune: { method: wanda, pattern: \"2:4\" }"));
        using var original = ModelFolder.Open(model.Path);
        using var exported = ModelFolder.Open(Assert.Single(result.Exports).Path);
        var before = WandaMaskTests.Values(original);
        var after = WandaMaskTests.Values(exported);
        foreach (var site in result.Sites.Select(s => s.Site + ".weight"))
        {
            Assert.All(after[site].Chunk(4), group => Assert.Equal(2, group.Count(w => w == 0)));
            // Kept weights are untouched.
            Assert.All(after[site].Zip(before[site]), pair => Assert.True(pair.First == 0 || pair.First == pair.Second));
        }
        Assert.Equal(0.5, Assert.Single(result.Exports).Figures.Zeros);
    }

    [SharedDataTheory]
    [InlineData("awq, bits: 3, group_size: 32, grid_points: 4", "3-bit integers")]
    [InlineData("squeezellm, bits: 3", "3-bit tables and outliers")]
    [InlineData("squeezellm, bits: 4, keep: sparsity", "bitmap of 4-bit tables and outliers")]
    public async Task The_own_format_measures_as_the_run_said_in_torch_and_in_the_engine(string quantize, string encoding)
    {
        var model = TestModel.Open("stories260K", folder);
        var prune = quantize.Contains("keep", StringComparison.Ordinal) ? "- prune: { method: wanda, sparsity: 0.5 }\n  " : "";
        var recipe = Runner.Recipe(model, $"{prune}- quantize: {{ method: {quantize} }}", "samples: 8, length: 256, batch_size: 8").Replace("{ format: hf, to: hf }", "{ format: compress, to: own }", StringComparison.Ordinal);
        var result = await Runner.Run(folder, recipe);
        var reported = Assert.Single(result.Evaluations);
        using var original = ModelFolder.Open(model.Path);
        using var exported = ModelFolder.Open(Assert.Single(result.Exports).Path);
        var source = Assert.IsType<DecodingTensorSource>(exported.Tensors);
        Assert.All(result.Sites.Select(s => s.Site).Distinct(), s => Assert.Equal(encoding, source.ReadEncoded(s + ".weight")!.Summary));
        var protocol = EvaluationProtocol.Find("gptq");
        var tokens = protocol.Read([File.ReadAllText(model.Heldout)], exported.LoadTokenizer(), Path.GetFileName(model.Heldout));
        var options = new EvaluationOptions { Window = 256, MaxWindows = 48 };
        Assert.Equal(reported, await Evaluator.EvaluateAsync(
            new EvaluatedModel(exported.Tensors, exported.Spec), new EvaluatedModel(original.Tensors, original.Spec), tokens, protocol, options));
        using var engine = RuntimeModel.Open(exported.Path);
        using var reference = RuntimeModel.Open(model.Path);
        var measured = await Evaluator.EvaluateAsync(engine, reference, tokens, protocol, options);
        // Activations of 8 bits move the divergence by less than its standard error.
        var error = reported.KlMeanStandardError!.Value;
        Assert.InRange(measured.KlMean!.Value, reported.KlMean!.Value - error, reported.KlMean.Value + error);
    }

    [SharedDataFact]
    public async Task A_run_leaves_no_tensor_alive()
    {
        var model = TestModel.Open("stories260K", folder);
        await Runner.Run(folder, Runner.Recipe(model, Stages), "warm-up");
        // What earlier tests left to the garbage collector must not go while this one counts.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        var before = torch.Tensor.TotalCount;
        await Runner.Run(folder, Runner.Recipe(model, Stages));
        Assert.Equal(before, torch.Tensor.TotalCount);
    }
}
