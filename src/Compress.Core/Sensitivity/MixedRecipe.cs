using Compress.Core.Recipes;

namespace Compress.Core.Sensitivity;

/// <summary>Turns a choice of options into an ordinary recipe.</summary>
public static class MixedRecipe
{
    /// <summary>The table's recipe, with a stage for each option that names the sites that take it.</summary>
    /// <param name="table">The table.</param>
    /// <param name="choice">The option of each site.</param>
    /// <param name="file">The table's file, for messages.</param>
    /// <param name="catalogue">Methods that stages may name.</param>
    /// <exception cref="RecipeException">The table's recipe is not valid here.</exception>
    public static Recipe Of(SensitivityTable table, IReadOnlyDictionary<string, int> choice, string file, MethodCatalogue catalogue)
    {
        var recipe = RecipeFile.Parse(file, table.Recipe, catalogue).Value;
        var stages = recipe.Stages.Select((stage, o) => stage with { Targets = [.. Sites(table, choice, o)], Ignore = [] });
        // The name would lead the run into the folder of another.
        return recipe with { Name = null, Stages = [.. stages.Where(s => s.Targets.Count > 0)] };
    }

    /// <summary>Key of the sites that inference programs fuse into one matrix: they read one input, in one block.</summary>
    public static string FusedWith(SiteOption entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        var kind = entry.Role switch
        {
            Graph.SiteRole.Query or Graph.SiteRole.Key or Graph.SiteRole.Value => "attn_in",
            Graph.SiteRole.Gate or Graph.SiteRole.Up => "mlp_in",
            _ => entry.Role.ToString(),
        };
        return FormattableString.Invariant($"{entry.Block}.{kind}");
    }

    /// <summary>Bytes of the smallest option of every site together.</summary>
    public static long Smallest(SensitivityTable table)
    {
        ArgumentNullException.ThrowIfNull(table);
        return table.Entries.GroupBy(e => e.Site).Sum(g => g.Min(e => e.Bytes));
    }

    private static IEnumerable<string> Sites(SensitivityTable table, IReadOnlyDictionary<string, int> choice, int option) =>
        table.Entries.Select(e => e.Site).Distinct().Where(s => choice[s] == option);
}
