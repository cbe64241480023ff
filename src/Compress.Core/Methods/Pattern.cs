using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Compress.Core.Methods;

/// <summary>
/// Where zeros may lie: anywhere (<c>unstructured</c>), or N kept of every M consecutive inputs of a row (<c>2:4</c>, <c>4:8</c>, any N:M).
/// </summary>
/// <remarks>
/// N counts the weights that are <em>kept</em>, as hardware counts them: <c>1:4</c> is 75 % zeros. The original code of Wanda and
/// SparseGPT counts removed weights in its <c>prune_n</c>; for 2:4 and 4:8 the two agree.
/// </remarks>
public readonly record struct Pattern : IParsable<Pattern>
{
    private Pattern(int kept, int group) => (Kept, Group) = (kept, group);

    /// <summary>Zeros anywhere.</summary>
    public static Pattern Unstructured => default;

    /// <summary>Weights kept in each group; 0 where unstructured.</summary>
    public int Kept { get; }

    /// <summary>Consecutive inputs of one group; 0 where unstructured.</summary>
    public int Group { get; }

    /// <summary>True for N:M.</summary>
    public bool IsStructured => Group > 0;

    /// <summary>Share of zeros that the pattern fixes; null where unstructured.</summary>
    public double? Sparsity => IsStructured ? (double)(Group - Kept) / Group : null;

    /// <summary>N kept of every M.</summary>
    /// <param name="kept">N, at least 1 and below <paramref name="group"/>.</param>
    /// <param name="group">M, at most 256.</param>
    /// <exception cref="ArgumentOutOfRangeException">N or M is out of range.</exception>
    public static Pattern Of(int kept, int group)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(group, 256);
        ArgumentOutOfRangeException.ThrowIfLessThan(kept, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(kept, group);
        return new Pattern(kept, group);
    }

    /// <summary>Reads <c>unstructured</c> or <c>N:M</c>.</summary>
    /// <exception cref="FormatException">The text is neither; the message says what was expected.</exception>
    public static Pattern Parse(string s, IFormatProvider? provider = null) => TryParse(s, provider, out var pattern)
        ? pattern
        : throw new FormatException("expected unstructured or N:M (N weights kept of every M, 1 <= N < M <= 256), such as \"2:4\"");

    /// <inheritdoc/>
    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out Pattern result)
    {
        result = default;
        if (s == "unstructured") return true;
        var parts = s?.Split(':') ?? [];
        if (parts.Length != 2
            || !int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var kept)
            || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var group)
            || kept < 1 || group > 256 || kept >= group)
            return false;
        result = new Pattern(kept, group);
        return true;
    }

    /// <summary>
    /// Checks the pattern with a sparsity option against a width, before any weight is read.
    /// </summary>
    /// <param name="sparsity">The option's value; null where the recipe names none.</param>
    /// <param name="inFeatures">Columns of the site.</param>
    /// <returns>What does not fit, with the remedy; null where all is well.</returns>
    public string? Unfit(double? sparsity, int inFeatures)
    {
        if (!IsStructured) return sparsity is null ? "sparsity is missing: give the share of weights to remove, such as sparsity: 0.5." : null;
        if (sparsity is { } asked && Math.Abs(asked - Sparsity!.Value) > 1e-9)
        {
            return string.Create(CultureInfo.InvariantCulture,
                $"pattern {this} removes {Sparsity} of the weights, but sparsity is {asked}: leave sparsity out or set it to {Sparsity}.");
        }
        return inFeatures % Group == 0 ? null
            : $"pattern {this} needs a width divisible by {Group}, but the site has {inFeatures} inputs: ignore the site or choose another M.";
    }

    /// <summary><c>unstructured</c> or <c>N:M</c>.</summary>
    public override string ToString() => IsStructured ? string.Create(CultureInfo.InvariantCulture, $"{Kept}:{Group}") : "unstructured";
}
