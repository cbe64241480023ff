namespace Compress.Core.Recipes;

/// <summary>Reads <c>compress run</c> recipes.</summary>
public static class RecipeFile
{
    /// <summary>Reads a recipe, binds it, gives it the file's name where it has none, and finds its files.</summary>
    /// <param name="path">The recipe.</param>
    /// <param name="catalogue">Methods that stages may name.</param>
    /// <param name="overrides"><c>key=value</c> arguments that replace what the file says.</param>
    /// <exception cref="RecipeException">The recipe is wrong; all problems are reported at once.</exception>
    public static Bound<Recipe> Load(string path, MethodCatalogue catalogue, IReadOnlyList<string>? overrides = null)
    {
        var bound = RecipeBinder.Load<Recipe>(path, overrides, new StageBinder(catalogue));
        StageInputs.Locate(bound.Value, written => Resolve(written, path));
        return bound with { Value = Located(bound.Value, path) };
    }

    /// <summary>Binds a recipe's text; paths stay as they are written.</summary>
    /// <param name="file">Name for messages.</param>
    /// <param name="text">The YAML text.</param>
    /// <param name="catalogue">Methods that stages may name.</param>
    /// <param name="overrides"><c>key=value</c> arguments that replace what the text says.</param>
    /// <exception cref="RecipeException">The recipe is wrong; all problems are reported at once.</exception>
    public static Bound<Recipe> Parse(string file, string text, MethodCatalogue catalogue, IReadOnlyList<string>? overrides = null) =>
        RecipeBinder.Bind<Recipe>(file, text, overrides, new StageBinder(catalogue));

    /// <summary>A path of a recipe: beside the recipe where it exists there and not as written; otherwise as written.</summary>
    /// <param name="written">Path in the recipe.</param>
    /// <param name="recipe">The recipe's file.</param>
    public static string Resolve(string written, string recipe)
    {
        ArgumentNullException.ThrowIfNull(written);
        if (written.Length == 0 || Path.IsPathRooted(written) || Path.Exists(written)) return written;
        var beside = Path.Combine(Path.GetDirectoryName(recipe) ?? "", written);
        return Path.Exists(beside) ? beside : written;
    }

    private static Recipe Located(Recipe recipe, string path) => recipe with
    {
        Name = recipe.Name ?? Path.GetFileNameWithoutExtension(path),
        Model = Resolve(recipe.Model, path),
        Calibration = recipe.Calibration is { } c ? c with { Data = Resolve(c.Data, path) } : null,
        Evaluate = [.. recipe.Evaluate.Select(e => e is PerplexityRecipe p ? p with { Data = Resolve(p.Data, path) } : e)],
    };
}
