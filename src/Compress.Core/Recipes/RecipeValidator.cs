using System.Globalization;
using Compress.Formats;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;
using TorchSharp;

namespace Compress.Core.Recipes;

/// <summary>Finds everything about a recipe that cannot work, before any weight is read: only headers are looked at.</summary>
public static class RecipeValidator
{
    /// <summary>Opens the recipe's model and checks the recipe against it.</summary>
    /// <param name="recipe">A bound recipe whose paths are resolved (<see cref="RecipeFile.Load"/>).</param>
    /// <returns>The open model; the caller disposes it.</returns>
    /// <exception cref="RecipeException">Something does not fit; all problems are reported at once.</exception>
    /// <exception cref="ModelFileException">The model or its tokenizer cannot be read.</exception>
    public static ModelFolder Open(Bound<Recipe> recipe)
    {
        ArgumentNullException.ThrowIfNull(recipe);
        var problems = WithoutModel(recipe);
        if (!Path.Exists(recipe.Value.Model)) throw Failure(problems);
        var model = ModelFolder.Open(recipe.Value.Model);
        try
        {
            problems = [.. problems, .. AgainstModel(recipe, model.Spec)];
            if (problems.Count > 0) throw Failure(problems);
            if (recipe.Value.Calibration is not null || recipe.Value.Evaluate.Count > 0) model.LoadTokenizer();
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Problems that show without the model: missing files, combinations that make no sense.</summary>
    public static IReadOnlyList<RecipeProblem> WithoutModel(Bound<Recipe> recipe)
    {
        ArgumentNullException.ThrowIfNull(recipe);
        var r = recipe.Value;
        var problems = new List<RecipeProblem>();
        void Report(string path, string problem, string? suggestion = null) => problems.Add(recipe.Problem(path, problem, suggestion));

        if (!Path.Exists(r.Model))
            Report("model", $"there is no '{r.Model}'.", "Give the folder of a model; it is not downloaded for you.");
        if (r.Name is { } name && (name.Length == 0 || name is "." or ".." || name.AsSpan().ContainsAny('/', '\\', '\0')))
            Report("name", $"'{ScalarBinder.Shorten(name)}' is not a folder name.", "Use letters, digits, '-' and '_'.");
        if (r.Device == DeviceChoice.Cuda && !torch.cuda.is_available())
            Report("device", "cuda is not available in this build or on this machine.", "Use auto or cpu; 'compress doctor' says more.");
        if (r.Calibration is { } calibration) CheckData("calibration.data", calibration.Data, Report);
        for (var i = 0; i < r.Stages.Count; i++) CheckNeeds(r, i, Report);
        CheckInputs(r, Report);
        problems.AddRange(new EvaluationChecks(recipe).WithoutModel());
        CheckExports(r, Report);
        return problems;
    }

    /// <summary>Problems that show in the model's headers: options that do not fit, targets that match nothing, windows too long.</summary>
    public static IReadOnlyList<RecipeProblem> AgainstModel(Bound<Recipe> recipe, ModelSpec model)
    {
        ArgumentNullException.ThrowIfNull(recipe);
        ArgumentNullException.ThrowIfNull(model);
        var problems = new List<RecipeProblem>();
        if (recipe.Value.Calibration?.Length > model.MaxPositions)
            problems.Add(recipe.Problem("calibration.length", TooLong(recipe.Value.Calibration.Length.Value, model)));
        problems.AddRange(new EvaluationChecks(recipe).AgainstModel(model));
        problems.AddRange(new StageChecks(recipe, model).Problems());
        return problems;
    }

    /// <summary>Dotted path of a stage.</summary>
    internal static string PathOf(Recipe recipe, int stage) => string.Create(
        CultureInfo.InvariantCulture, $"stages.{stage}.{ScalarBinder.Write(recipe.Stages[stage].Method.Attribute.Kind)}");

    internal static string TooLong(int tokens, ModelSpec model) =>
        string.Create(CultureInfo.InvariantCulture, $"{tokens} tokens exceed the model's context of {model.MaxPositions}.");

    /// <summary>What is wrong with a data file that does not exist; null where it does.</summary>
    internal static string? MissingData(string file) =>
        Path.Exists(file) ? null : $"there is no file '{ScalarBinder.Shorten(file)}'.";

    private static RecipeException Failure(IReadOnlyList<RecipeProblem> problems) =>
        new([.. problems.OrderBy(p => p.Line == 0).ThenBy(p => p.Line).ThenBy(p => p.Column)]);

    private static void CheckNeeds(Recipe recipe, int stage, Action<string, string, string?> report)
    {
        var method = recipe.Stages[stage].Method;
        if (recipe.Calibration is not null || !method.Create(recipe.Stages[stage].Options).Calibrated) return;
        report(PathOf(recipe, stage) + ".method", $"{method.Attribute.Name} needs calibration data, and the recipe has none.",
            "Add 'calibration: { data: text.txt }'.");
    }

    /// <summary>Files that stages name must be there, and a model must not be trained on what it is measured on.</summary>
    private static void CheckInputs(Recipe recipe, Action<string, string, string?> report)
    {
        var measured = recipe.Evaluate.OfType<PerplexityRecipe>().Select(p => Path.GetFullPath(p.Data)).ToHashSet(StringComparer.Ordinal);
        foreach (var input in StageInputs.Of(recipe))
        {
            CheckData(input.Key, input.Path, report);
            if (measured.Contains(Path.GetFullPath(input.Path)))
                report(input.Key, "is the text of an evaluation: the result would say nothing about other text.", "Train on another text.");
        }
    }

    private static void CheckExports(Recipe recipe, Action<string, string, string?> report)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < recipe.Export.Count; i++)
        {
            var to = recipe.Export[i].To;
            var path = string.Create(CultureInfo.InvariantCulture, $"export.{i}.to");
            var parts = to.Split('/', '\\');
            if (Path.IsPathRooted(to) || parts.Any(p => p is "" or "." or ".."))
                report(path, $"'{ScalarBinder.Shorten(to)}' is not a folder inside the run folder.", "Write for example 'model'.");
            else if (!seen.Add(string.Join('/', parts)))
                report(path, $"'{ScalarBinder.Shorten(to)}' is the folder of an earlier export.", "Give each export its own folder.");
        }
    }

    private static void CheckData(string path, string file, Action<string, string, string?> report)
    {
        if (MissingData(file) is { } problem) report(path, problem, "Paths start at the current folder, then at the recipe's.");
    }
}
