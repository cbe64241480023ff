using System.CommandLine;
using Compress.Cli.Terminal;
using Compress.Core.Recipes;
using Compress.Distill.Training;

namespace Compress.Cli.Commands;

/// <summary><c>compress train RECIPE</c>: a model from random weights.</summary>
internal static class TrainCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create(CommandHost host)
    {
        var recipe = new Argument<string>("RECIPE") { Description = "Training recipe (YAML)." };
        var set = RecipeOptions.Set();
        var output = RecipeOptions.Output();
        var resume = new Option<bool>("--resume") { Description = "Go on from the last checkpoint in the run folder." };
        var command = new ExampleCommand("train", "Trains a causal language model from random weights.",
            "train recipes/train-embedded.yaml", "train recipes/train-embedded.yaml --set training.steps=100 --output runs/short")
        { recipe, set, output, resume };
        host.Attach(command, async (parsed, session) =>
        {
            var path = parsed.GetValue(recipe)!;
            var bound = RecipeBinder.Load<TrainingRecipe>(path, parsed.GetValue(set));
            var name = bound.Value.Name ?? Path.GetFileNameWithoutExtension(path);
            var folder = parsed.GetValue(output) ?? Path.Combine("runs", name);
            return await TrainAsync(session, bound, folder, parsed.GetValue(resume), $"compress train {path} --resume");
        });
        return command;
    }

    private static async Task<int> TrainAsync(CommandSession session, Bound<TrainingRecipe> bound, string folder, bool resume, string again)
    {
        if (!resume && File.Exists(Path.Combine(folder, "checkpoint.bin")))
            return session.Fail(ExitCode.RecipeWrong,
                $"{folder} holds an unfinished training. Add --resume to go on, or delete the folder to begin again.");
        session.ResumeHint = $"Go on with: {again}";
        try
        {
            var result = await session.ShowProgressAsync(p => TrainingRun.ExecuteAsync(bound.Value, folder, p, session.Cancellation));
            return session.Write(result, text =>
            {
                text.WriteLine($"{result.Folder}: {Human.Count(result.Parameters)} parameters, {Human.Count(result.Steps)} steps, "
                    + $"{Human.Count(result.Tokens)} tokens, loss {Human.Fixed(result.Loss, 4)}");
                if (result.HeldOut is { } heldOut) text.WriteLine(heldOut.Summary);
            });
        }
        catch (TrainingRecipeException e)
        {
            throw new RecipeException([bound.Problem(e.Key, e.Message[(e.Key.Length + 2)..])]);
        }
    }
}
