namespace Compress.Core.Recipes;

/// <summary>Finds the valid name that a user most likely meant.</summary>
public static class NearestName
{
    /// <summary>The closest of the valid names, or null where none is close (a third of the letters, at least two, may differ).</summary>
    /// <param name="written">What the user wrote.</param>
    /// <param name="valid">The names that would do.</param>
    public static string? Of(string written, IEnumerable<string> valid)
    {
        ArgumentNullException.ThrowIfNull(written);
        ArgumentNullException.ThrowIfNull(valid);
        if (written.Length is 0 or > 256) return null;
        var (best, bestDistance) = ((string?)null, int.MaxValue);
        foreach (var name in valid)
        {
            var distance = Distance(written.ToUpperInvariant(), name.ToUpperInvariant());
            if (distance < bestDistance) (best, bestDistance) = (name, distance);
        }
        return bestDistance <= Math.Max(2, Math.Max(written.Length, best?.Length ?? 0) / 3) && bestDistance < written.Length ? best : null;
    }

    /// <summary>The <paramref name="count"/> closest names, nearest first, however far.</summary>
    /// <param name="written">What the user wrote.</param>
    /// <param name="valid">The names that would do.</param>
    /// <param name="count">How many to return at most.</param>
    public static IReadOnlyList<string> Ranked(string written, IEnumerable<string> valid, int count)
    {
        ArgumentNullException.ThrowIfNull(written);
        var key = written.Length > 256 ? written[..256] : written;
        return [.. valid.OrderBy(n => Distance(key.ToUpperInvariant(), n.ToUpperInvariant())).Take(count)];
    }

    /// <summary><c>Did you mean 'x'? Valid keys: a, b, c.</c> with the question left out where nothing is near.</summary>
    /// <param name="written">What the user wrote.</param>
    /// <param name="valid">The names that would do.</param>
    /// <param name="what">Plural noun for the names.</param>
    public static string Suggestion(string written, IReadOnlyCollection<string> valid, string what)
    {
        var list = valid.Count > 0 ? $"Valid {what}: {string.Join(", ", valid)}." : $"There are no valid {what} here.";
        return Of(written, valid) is { } near ? $"Did you mean '{near}'? {list}" : list;
    }

    /// <summary>Edit distance with adjacent transpositions (optimal string alignment), O(|a|·|b|).</summary>
    private static int Distance(string a, string b)
    {
        var rows = (Before: new int[b.Length + 1], Last: new int[b.Length + 1], Now: new int[b.Length + 1]);
        for (var j = 0; j <= b.Length; j++) rows.Last[j] = j;
        for (var i = 1; i <= a.Length; i++)
        {
            rows.Now[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var substitution = rows.Last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                var best = Math.Min(substitution, Math.Min(rows.Last[j], rows.Now[j - 1]) + 1);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) best = Math.Min(best, rows.Before[j - 2] + 1);
                rows.Now[j] = best;
            }
            rows = (rows.Last, rows.Now, rows.Before);
        }
        return rows.Last[b.Length];
    }
}
