using System.Text.Json;
using Compress.Core.Recipes;
using Compress.Distill.Training;
using Compress.Formats;
using Compress.Formats.Checkpoints;
using Compress.Testing;

namespace Compress.Distill.Tests.Training;

[Collection(TorchTests.Name)]
public sealed class TrainingRunTests : IDisposable
{
    readonly string folder = Directory.CreateTempSubdirectory("compress-run-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task A_recipe_gives_a_model_folder_that_can_be_read_and_measured()
    {
        var result = await TrainingRun.ExecuteAsync(Recipe(steps: 12), At("run"));

        using var model = ModelFolder.Open(At("model"));
        var tokenizer = model.LoadTokenizer();
        Assert.Equal(model.Spec.VocabularySize, tokenizer.VocabularySize);
        Assert.Equal([tokenizer.BosId!.Value, .. tokenizer.Encode("value", addSpecialTokens: false)], tokenizer.Encode("value"));
        Assert.Equal(result.Parameters, model.Tensors.Tensors.Values.Sum(t => t.ElementCount));
        Assert.All(model.Tensors.Tensors.Values, t => Assert.Equal(ElementType.BF16, t.Type));
        Assert.Equal(12 * 4 * 16, result.Tokens);
        Assert.True(result.HeldOut!.TrigramLoss < result.HeldOut.UnigramLoss);
        using var evaluation = JsonDocument.Parse(File.ReadAllText(At("run", "evaluation.json")));
        Assert.Equal(result.HeldOut.Model.Perplexity, evaluation.RootElement.GetProperty("model").GetProperty("perplexity").GetDouble());
        using var run = JsonDocument.Parse(File.ReadAllText(At("run", "run.json")));
        Assert.Equal(64, run.RootElement.GetProperty("corpus").GetProperty("sha256").GetString()!.Length);
    }

    [Fact]
    public async Task A_finished_run_may_be_continued_for_longer_but_not_with_another_model()
    {
        await TrainingRun.ExecuteAsync(Recipe(steps: 2), At("run"));
        var longer = await TrainingRun.ExecuteAsync(Recipe(steps: 3), At("run"));
        Assert.Equal(3, longer.Steps);
        Assert.Equal(3, TrainingLog.Read(At("run", "log.jsonl")).Count());
        var other = Recipe(steps: 3);
        await Assert.ThrowsAsync<ModelFileException>(() => TrainingRun.ExecuteAsync(other with { Seed = 1 }, At("run")));
    }

    [Fact]
    public async Task Impossible_recipes_are_refused_before_anything_is_read()
    {
        var recipe = Recipe(steps: 2) with { Corpus = new CorpusRecipe { Source = "does-not-exist" } };
        foreach (var (wrong, key) in new[]
        {
            (recipe with { Model = recipe.Model with { KeyValueHeads = 3 } }, "model.key_value_heads"),
            (recipe with { Model = recipe.Model with { HeadSize = 7 } }, "model.head_size"),
            (recipe with { Training = recipe.Training with { MicroBatchSize = 3 } }, "training.micro_batch_size"),
        })
        {
            var e = await Assert.ThrowsAsync<TrainingRecipeException>(() => TrainingRun.ExecuteAsync(wrong, At("run")));
            Assert.Equal(key, e.Key);
        }
        await Assert.ThrowsAsync<ModelFileException>(() => TrainingRun.ExecuteAsync(recipe, At("run")));
    }

    [Fact]
    public void The_recipe_of_the_embedded_model_binds()
    {
        var recipe = RecipeBinder.Load<TrainingRecipe>(Path.Combine(SharedData.Repository, "recipes", "train-embedded.yaml")).Value;
        Assert.Equal((256, 768, 4096), (recipe.Model.HiddenSize, recipe.Model.IntermediateSize, recipe.Tokenizer.VocabularySize));
        Assert.Equal(CorpusRecipe.ReferenceDocumentation, recipe.Corpus.Source);
    }

    TrainingRecipe Recipe(int steps)
    {
        var sentences = Enumerable.Range(0, 60).Select(i => $"The value of item {i % 7} is returned by the method after {i} steps.");
        File.WriteAllText(At("corpus.txt"), string.Join("\n\n\n", sentences.Chunk(6).Select(c => string.Join('\n', c))));
        File.WriteAllText(At("heldout.txt"), string.Join('\n', Enumerable.Range(0, 20).Select(i => $"The value of item {i % 5} is returned by the method after {i + 60} steps.")));
        return new TrainingRecipe
        {
            Output = At("model"),
            Device = DeviceChoice.Cpu,
            Corpus = new CorpusRecipe { Source = At("corpus.txt") },
            Tokenizer = new TokenizerRecipe { VocabularySize = 320 },
            Model = new ArchitectureRecipe { HiddenSize = 32, IntermediateSize = 48, Layers = 1, Heads = 2, KeyValueHeads = 1, HeadSize = 16, Context = 16 },
            Training = new OptimizationRecipe { Steps = steps, BatchSize = 4, WarmupSteps = 2, LearningRate = 0.01 },
            Evaluate = new HeldOutRecipe { Data = At("heldout.txt") },
        };
    }

    string At(params string[] parts) => Path.Combine([folder, .. parts]);
}
