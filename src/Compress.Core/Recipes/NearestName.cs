namespace Compress.Core.Recipes;

/// <summary>Words the hint after a name that is not valid.</summary>
public static class NearestName
{
    /// <summary><c>Did you mean 'x'? Valid keys: a, b, c.</c> with the question left out where nothing is near.</summary>
    /// <param name="written">What the user wrote.</param>
    /// <param name="valid">The names that would do.</param>
    /// <param name="what">Plural noun for the names.</param>
    public static string Suggestion(string written, IReadOnlyCollection<string> valid, string what)
    {
        var list = valid.Count > 0 ? $"Valid {what}: {string.Join(", ", valid)}." : $"There are no valid {what} here.";
        return Of(written, valid) is { } near ? $"Did you mean '{near}'? {list}" : list;
    }

    /// <summary>The closest of the valid names, or null where none is close.</summary>
    /// <param name="written">What the user wrote.</param>
    /// <param name="valid">The names that would do.</param>
    public static string? Of(string written, IEnumerable<string> valid) =>
        Formats.Suggestion.Nearest(written, valid, 1) is [var nearest] ? nearest : null;
}
