using Compress.Core.Recipes.Yaml;

namespace Compress.Core.Recipes;

/// <summary>A record bound from a text, with the places of its keys for problems that are found later.</summary>
/// <typeparam name="T">The record.</typeparam>
/// <param name="Value">The record.</param>
/// <param name="File">The text's file.</param>
/// <param name="Marks">Where each key begins, by dotted path (<c>stages.0.prune.sparsity</c>).</param>
public sealed record Bound<T>(T Value, string File, IReadOnlyDictionary<string, Mark> Marks)
{
    /// <summary>A problem of a key, at the key's place or at that of the nearest part above it that was written.</summary>
    /// <param name="path">Dotted path.</param>
    /// <param name="problem">What is wrong.</param>
    /// <param name="suggestion">What to write instead, or null.</param>
    public RecipeProblem Problem(string path, string problem, string? suggestion = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        var at = new Mark(File, 0, 0);
        for (var known = path; ; known = known[..known.LastIndexOf('.')])
        {
            if (Marks.TryGetValue(known, out at)) break;
            if (!known.Contains('.', StringComparison.Ordinal)) break;
        }
        return new RecipeProblem(at.File ?? File, at.Line, at.Column, path, problem, suggestion);
    }
}

/// <summary>Binds YAML to records: keys are property names in snake_case, defaults those of the record, bounds from attributes.</summary>
/// <remarks>
/// A record has a parameterless constructor and init properties of these types: text, whole number, number, bool, enum, a type that
/// implements <see cref="IParsable{TSelf}"/>, another such record, an <see cref="IReadOnlyList{T}"/> of them, or a base type that lists
/// its forms with <see cref="VariantAttribute"/>. <c>required</c> properties must be written; nullable ones may be null;
/// <see cref="Methods.BetweenAttribute"/> bounds numbers;
/// <see cref="System.ComponentModel.DataAnnotations.AllowedValuesAttribute"/> lists texts.
/// </remarks>
public static class RecipeBinder
{
    /// <summary>Reads a recipe file.</summary>
    /// <typeparam name="T">Record to bind to.</typeparam>
    /// <param name="path">The YAML file.</param>
    /// <param name="overrides"><c>key=value</c> arguments that replace what the file says.</param>
    /// <param name="binders">Binders for types with a syntax of their own.</param>
    /// <exception cref="RecipeException">The file or an override is wrong; all problems are reported at once.</exception>
    public static Bound<T> Load<T>(string path, IReadOnlyList<string>? overrides = null, params IReadOnlyList<INodeBinder> binders) =>
        Bind<T>(path, YamlReader.ReadFile(path), overrides, binders);

    /// <summary>Binds a text.</summary>
    /// <typeparam name="T">Record to bind to.</typeparam>
    /// <param name="file">Name for messages.</param>
    /// <param name="text">The YAML text.</param>
    /// <param name="overrides"><c>key=value</c> arguments that replace what the text says.</param>
    /// <param name="binders">Binders for types with a syntax of their own.</param>
    /// <exception cref="RecipeException">The text or an override is wrong; all problems are reported at once.</exception>
    public static Bound<T> Bind<T>(
        string file, string text, IReadOnlyList<string>? overrides = null, params IReadOnlyList<INodeBinder> binders) =>
        Bind<T>(file, YamlReader.ReadMapping(file, text), overrides, binders);

    private static Bound<T> Bind<T>(string file, YamlMapping root, IReadOnlyList<string>? overrides, IReadOnlyList<INodeBinder> binders)
    {
        foreach (var argument in overrides ?? []) root = YamlOverride.Apply(root, argument);
        var context = new BindContext(binders);
        var value = context.BindRecord(typeof(T), root, "");
        if (context.Problems.Count > 0)
            throw new RecipeException([.. context.Problems.OrderBy(p => p.Line == 0).ThenBy(p => p.Line).ThenBy(p => p.Column)]);
        return new Bound<T>((T)value!, file, context.Marks);
    }
}
