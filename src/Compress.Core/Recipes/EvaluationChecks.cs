using System.Globalization;
using Compress.Core.Evaluation;
using Compress.Formats.Architectures;

namespace Compress.Core.Recipes;

/// <summary>Checks the <c>evaluate</c> section of a recipe.</summary>
/// <param name="recipe">The recipe.</param>
internal sealed class EvaluationChecks(Bound<Recipe> recipe)
{
    private readonly List<RecipeProblem> problems = [];

    /// <summary>Missing files, unknown protocols, a divergence over nothing, an engine without a checkpoint.</summary>
    public IReadOnlyList<RecipeProblem> WithoutModel()
    {
        foreach (var (entry, path) in Entries<PerplexityRecipe>("perplexity"))
        {
            if (RecipeValidator.MissingData(entry.Data) is { } missing)
                Report(path + ".data", missing, "Paths start at the current folder, then at the recipe's.");
            CheckProtocol(entry.Protocol, path + ".protocol");
            if (entry.Engine == EvaluationEngine.Runtime) CheckExport(entry.Export, path);
            else if (entry.Export is not null) Report(path + ".export", "is for the engine in C#.", "Add 'engine: runtime'.");
        }
        foreach (var (entry, path) in Entries<SpeedRecipe>("speed")) CheckExport(entry.Export, path);
        if (recipe.Value.Evaluate.OfType<PerplexityRecipe>().Any()) return problems;
        foreach (var (_, path) in Entries<DivergenceRecipe>("divergence"))
        {
            Report(path, "divergence is measured over the tokens of a perplexity entry, and there is none.",
                "Add '- perplexity: { data: text.txt }'.");
        }
        return problems;
    }

    /// <summary>Windows and prompts longer than the model's context.</summary>
    public IReadOnlyList<RecipeProblem> AgainstModel(ModelSpec model)
    {
        foreach (var (entry, path) in Entries<PerplexityRecipe>("perplexity"))
        {
            if (entry.Window > model.MaxPositions) Report(path + ".window", RecipeValidator.TooLong(entry.Window.Value, model));
        }
        foreach (var (entry, path) in Entries<SpeedRecipe>("speed"))
        {
            if (entry.Prompt > model.MaxPositions) Report(path + ".prompt", RecipeValidator.TooLong(entry.Prompt, model));
            if (entry.Generate > model.MaxPositions) Report(path + ".generate", RecipeValidator.TooLong(entry.Generate, model));
        }
        return problems;
    }

    private IEnumerable<(T Entry, string Path)> Entries<T>(string name) where T : EvaluationRecipe => recipe.Value.Evaluate.Index()
        .Where(e => e.Item is T)
        .Select(e => ((T)e.Item, string.Create(CultureInfo.InvariantCulture, $"evaluate.{e.Index}.{name}")));

    private void CheckProtocol(string protocol, string path)
    {
        var protocols = EvaluationProtocol.All.Select(p => p.Name).ToList();
        if (protocols.Contains(protocol)) return;
        Report(path, $"unknown protocol '{ScalarBinder.Shorten(protocol)}'.", NearestName.Suggestion(protocol, protocols, "protocols"));
    }

    /// <summary>The engine runs files: what it measures must be exported.</summary>
    private void CheckExport(string? name, string path)
    {
        var exports = recipe.Value.Export.Select(e => e.To).ToList();
        if (exports.Count == 0)
            Report(path, "the engine in C# runs an exported checkpoint, and the recipe exports none.", "Add 'export: [{ format: hf, to: model }]'.");
        else if (name is not null && !exports.Contains(name))
            Report(path + ".export", $"there is no export '{ScalarBinder.Shorten(name)}'.", NearestName.Suggestion(name, exports, "exports"));
    }

    private void Report(string path, string problem, string? suggestion = null) => problems.Add(recipe.Problem(path, problem, suggestion));
}
