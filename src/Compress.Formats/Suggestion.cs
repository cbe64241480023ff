namespace Compress.Formats;

/// <summary>Finds the names nearest to a mistyped one, for error messages.</summary>
public static class Suggestion
{
    const int LongestCompared = 200;

    /// <summary>The names nearest to <paramref name="wanted"/> by edit distance (insert, delete, replace; case ignored), best
    /// first.</summary>
    /// <param name="wanted">The name that was not found.</param>
    /// <param name="names">The names that exist.</param>
    /// <param name="count">At most so many.</param>
    /// <returns>Names within half of the wanted name's length; equal distances in ordinal order.</returns>
    public static IReadOnlyList<string> Nearest(string wanted, IEnumerable<string> names, int count = 3)
    {
        var limit = Math.Max(2, Math.Min(wanted.Length, LongestCompared) / 2);
        return [.. names
            .Where(name => Math.Abs(name.Length - wanted.Length) <= limit)
            .Select(name => (name, distance: Distance(wanted, name)))
            .Where(n => n.distance <= limit)
            .OrderBy(n => n.distance).ThenBy(n => n.name, StringComparer.Ordinal)
            .Take(count).Select(n => n.name)];
    }

    /// <summary>"Did you mean a, b or c?", or "Known are a, b, c …" where nothing is near.</summary>
    /// <param name="wanted">The name that was not found.</param>
    /// <param name="names">The names that exist.</param>
    public static string For(string wanted, IReadOnlyCollection<string> names)
    {
        var near = Nearest(wanted, names);
        if (near.Count > 0) return $"Did you mean {string.Join(" or ", near.Select(Shorten))}?";
        if (names.Count == 0) return "There are none.";
        return $"Known are {string.Join(", ", names.Take(5).Select(Shorten))}{(names.Count > 5 ? ", …" : ".")}";
    }

    /// <summary>A name from outside as it may appear in a message: control characters replaced, at most 100 characters.</summary>
    /// <param name="name">Any text.</param>
    public static string Shorten(string name)
    {
        var shown = name.Length <= 100 ? name : string.Concat(name.AsSpan(0, 99), "…");
        return string.Create(shown.Length, shown, static (target, source) =>
        {
            for (var i = 0; i < target.Length; i++) target[i] = char.IsControl(source[i]) ? '\uFFFD' : source[i];
        });
    }

    static int Distance(string first, string second)
    {
        var a = first.AsSpan(0, Math.Min(first.Length, LongestCompared));
        var b = second.AsSpan(0, Math.Min(second.Length, LongestCompared));
        Span<int> row = stackalloc int[b.Length + 1];
        for (var j = 0; j <= b.Length; j++) row[j] = j;
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var replaced = diagonal + (char.ToLowerInvariant(a[i - 1]) == char.ToLowerInvariant(b[j - 1]) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, Math.Min(row[j], row[j - 1]) + 1);
            }
        }
        return row[b.Length];
    }
}
