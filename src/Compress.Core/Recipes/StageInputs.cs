using System.Globalization;
using System.Reflection;
using Compress.Core.Methods;

namespace Compress.Core.Recipes;

/// <summary>Files and folders that stages name in their options, by <see cref="InputPathAttribute"/>.</summary>
internal static class StageInputs
{
    /// <summary>A path in a stage's options.</summary>
    /// <param name="Key">Dotted path of the key in the recipe.</param>
    /// <param name="Property">The option.</param>
    /// <param name="Options">The record that holds it.</param>
    /// <param name="Path">What was written.</param>
    public sealed record Input(string Key, PropertyInfo Property, object Options, string Path);

    /// <summary>The paths of all stages.</summary>
    public static IReadOnlyList<Input> Of(Recipe recipe) =>
        [.. recipe.Stages.SelectMany((stage, i) => Of(stage, RecipeValidator.PathOf(recipe, i)))];

    /// <summary>Replaces the paths of stages, whose options nobody else holds yet, by those where the files are.</summary>
    public static void Locate(Recipe recipe, Func<string, string> resolve)
    {
        foreach (var input in Of(recipe)) input.Property.SetValue(input.Options, resolve(input.Path));
    }

    private static IEnumerable<Input> Of(StageRecipe stage, string path) =>
        from key in RecordShape.Of(stage.Options.GetType()).Keys
        let marked = key.Property.GetCustomAttribute<InputPathAttribute>()
        where marked is not null
        let value = (string?)key.Property.GetValue(stage.Options)
        where value is not null && !marked.Words.Contains(value)
        select new Input(string.Create(CultureInfo.InvariantCulture, $"{path}.{key.Name}"), key.Property, stage.Options, value);
}
