using System.Globalization;
using Compress.Core.Progress;
using Compress.Core.Recipes;
using Compress.Core.Runs;
using Compress.Formats;
using Compress.Formats.Checkpoints;
using Compress.Formats.Datasets;

namespace Compress.Core.Calibration;

/// <summary>Draws a recipe's calibration windows from its text with the model's tokenizer.</summary>
internal static class CalibrationDraw
{
    private const int DefaultLength = 2048;

    /// <summary>Draws the windows.</summary>
    /// <param name="recipe">Text, number and length of windows.</param>
    /// <param name="seed">The recipe's seed.</param>
    /// <param name="model">The model, with its tokenizer.</param>
    /// <param name="progress">Takes warnings.</param>
    /// <exception cref="ModelFileException">Text or tokenizer cannot be read, do not belong to the model, or are too short.</exception>
    public static CalibrationFile Make(CalibrationRecipe recipe, int seed, ModelFolder model, IProgress<RunEvent> progress)
    {
        var tokenizer = model.LoadTokenizer();
        var length = recipe.Length ?? Math.Min(model.Spec.MaxPositions, DefaultLength);
        var windowSeed = Seeds.Derive(seed, "calibration");
        var draw = new WindowSampler(TextDataset.Open(recipe.Data), text => tokenizer.Encode(text), recipe.Data).Draw(recipe.Samples, length, windowSeed);
        var largest = draw.Windows.Max(w => w.Tokens.Max());
        if (largest >= model.Spec.VocabularySize)
        {
            throw new ModelFileException(
                model.Path,
                string.Create(CultureInfo.InvariantCulture, $"the tokenizer gave token {largest}, but the model has {model.Spec.VocabularySize} tokens."),
                "Tokenizer and weights are not of the same model; fetch them again.");
        }
        Warn(draw, recipe, length, progress);
        var hash = RunInputs.Hash(recipe.Data);
        return new CalibrationFile(recipe.Data, hash, draw.Sampling, draw.Documents, recipe.Samples, length, windowSeed, draw.Windows);
    }

    private static void Warn(WindowDraw draw, CalibrationRecipe recipe, int length, IProgress<RunEvent> progress)
    {
        if (draw.Sampling == WindowSampling.Joined)
        {
            progress.Report(new Warning(string.Create(CultureInfo.InvariantCulture,
                $"No document of {recipe.Data} has more than {length} tokens; calibration windows span documents.")));
        }
        var distinct = draw.Windows.Select(w => w.Document).Distinct().Count();
        if (draw.Sampling == WindowSampling.Documents && distinct * 2 < draw.Windows.Count)
        {
            progress.Report(new Warning(string.Create(CultureInfo.InvariantCulture,
                $"Only {distinct} documents of {recipe.Data} are long enough for {draw.Windows.Count} calibration windows of {length} tokens.")));
        }
    }
}
