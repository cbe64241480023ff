namespace Compress.Core.Recipes;

/// <summary>A pattern over site names, as <c>targets</c> and <c>ignore</c> list them.</summary>
/// <remarks>
/// <c>*</c> stands for any characters (dots too) and <c>?</c> for one. A pattern without either matches a site whose name has it as
/// whole dotted parts: <c>down_proj</c>, <c>mlp</c>, <c>model.layers.3</c>, <c>lm_head</c>.
/// </remarks>
public static class SitePattern
{
    /// <summary>True where a pattern matches a name. Linear in the product of the lengths, whatever the pattern.</summary>
    /// <param name="pattern">The pattern.</param>
    /// <param name="name">A site name.</param>
    public static bool Matches(string pattern, string name)
    {
        ArgumentNullException.ThrowIfNull(pattern);
        ArgumentNullException.ThrowIfNull(name);
        return pattern.AsSpan().ContainsAny('*', '?')
            ? Glob(pattern, name)
            : pattern.Length > 0 && ('.' + name + '.').Contains('.' + pattern + '.', StringComparison.Ordinal);
    }

    /// <summary>True where a stage applies to a site.</summary>
    /// <param name="stage">The stage.</param>
    /// <param name="name">The site's name.</param>
    /// <param name="inBlock">True for the linears of decoder blocks, which are the default targets; false for head and embedding.</param>
    public static bool Selects(StageRecipe stage, string name, bool inBlock)
    {
        ArgumentNullException.ThrowIfNull(stage);
        var targeted = stage.Targets.Count == 0 ? inBlock : stage.Targets.Any(p => Matches(p, name));
        return targeted && !stage.Ignore.Any(p => Matches(p, name));
    }

    /// <summary>Greedy matching that goes back to the last star only.</summary>
    private static bool Glob(string pattern, string name)
    {
        int p = 0, n = 0, star = -1, mark = 0;
        while (n < name.Length)
        {
            if (p < pattern.Length && pattern[p] == '*') (star, mark, p) = (p, n, p + 1);
            else if (p < pattern.Length && (pattern[p] == '?' || pattern[p] == name[n])) (p, n) = (p + 1, n + 1);
            else if (star >= 0) (p, mark, n) = (star + 1, mark + 1, mark + 1);
            else return false;
        }
        return pattern.AsSpan(p).TrimStart('*').IsEmpty;
    }
}
