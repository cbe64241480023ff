using Compress.Core.Evaluation;
using Compress.Distill.Tests.Training;
using Compress.Formats.Checkpoints;
using Compress.Testing;

namespace Compress.Distill.Tests;

[Collection(TorchTests.Name)]
public sealed class EmbeddedModelTests
{
    static readonly string Folder = Path.Combine(SharedData.Repository, "models", "embedded");

    [Fact]
    public void It_is_small_and_its_shapes_fit_blocks_of_256_columns()
    {
        Assert.True(Directory.GetFiles(Folder).Sum(f => new FileInfo(f).Length) <= 10_000_000);
        using var model = ModelFolder.Open(Folder);
        Assert.InRange(model.Tensors.Tensors.Values.Sum(t => t.ElementCount), 2_000_000, 5_000_000);
        Assert.All(model.Spec.Blocks, block =>
        {
            Assert.True(block.Attention!.KeyValueHeads < block.Attention.Heads);
            Assert.NotNull(block.Mlp!.Gate);
            Assert.Equal(0, block.Mlp.Down.InFeatures % 256 + block.Mlp.Up.InFeatures % 256);
        });
        Assert.Equal(model.Spec.VocabularySize, model.LoadTokenizer().VocabularySize);
    }

    [Fact]
    public async Task It_has_learned_the_language_of_the_held_out_text()
    {
        // docs/embedded-model.md states 2.745 nats a token on the whole text, where token frequencies reach 6.474.
        using var model = ModelFolder.Open(Folder);
        var protocol = EvaluationProtocol.Find("gptq");
        var text = await File.ReadAllTextAsync(Path.Combine(SharedData.Repository, "data", "heldout.txt"));
        var tokens = protocol.Read([text], model.LoadTokenizer(), "data/heldout.txt");
        var result = await Evaluator.EvaluateAsync(new EvaluatedModel(model.Tensors, model.Spec), null, tokens, protocol);
        Assert.Equal(2.7455, result.MeanNll, tolerance: 5e-4);
        Assert.Equal(0.8810, result.BitsPerByte!.Value, tolerance: 2e-4);
    }
}
