using System.Globalization;
using Compress.Formats;

namespace Compress.Core.Recipes;

/// <summary>One thing that is wrong with a recipe.</summary>
/// <param name="File">The recipe's file, or the <c>--set</c> argument that brought the value.</param>
/// <param name="Line">Line, from 1; 0 where the problem has no place in the text.</param>
/// <param name="Column">Column, from 1; 0 where the problem has no place in the text.</param>
/// <param name="Key">Dotted path of the key concerned, e.g. <c>stages.0.prune.sparsity</c>; empty for the whole file.</param>
/// <param name="Problem">What is wrong, with the offending value and the rule it breaks.</param>
/// <param name="Suggestion">What to write instead, or null where nothing sensible can be said.</param>
public sealed record RecipeProblem(string File, int Line, int Column, string Key, string Problem, string? Suggestion)
{
    /// <summary><c>file:line:column: key: problem suggestion</c>, on one line.</summary>
    public override string ToString()
    {
        var place = Line > 0 ? string.Create(CultureInfo.InvariantCulture, $"{File}:{Line}:{Column}: ") : $"{File}: ";
        return place + (Key.Length > 0 ? Formats.Suggestion.Shorten(Key) + ": " : "") + Problem
            + (Suggestion is null ? "" : " " + Suggestion);
    }
}

/// <summary>A recipe cannot be run. Carries every problem that was found, in the order of the text.</summary>
/// <remarks>The single-problem properties are those of the first one.</remarks>
public sealed class RecipeException : CompressException
{
    /// <summary>Reports several problems at once.</summary>
    /// <param name="problems">At least one problem.</param>
    public RecipeException(IReadOnlyList<RecipeProblem> problems)
        : base(string.Join(Environment.NewLine, problems ?? throw new ArgumentNullException(nameof(problems))))
    {
        ArgumentOutOfRangeException.ThrowIfZero(problems.Count, nameof(problems));
        Problems = problems;
    }

    /// <summary>Reports one problem.</summary>
    public RecipeException(string file, int line, int column, string key, string problem, string? suggestion = null)
        : this([new RecipeProblem(file, line, column, key, problem, suggestion)])
    {
    }

    /// <summary>Everything that was found.</summary>
    public IReadOnlyList<RecipeProblem> Problems { get; }

    /// <summary>File of the first problem.</summary>
    public string File => Problems[0].File;

    /// <summary>Line of the first problem, from 1; 0 where it has no place.</summary>
    public int Line => Problems[0].Line;

    /// <summary>Column of the first problem, from 1; 0 where it has no place.</summary>
    public int Column => Problems[0].Column;

    /// <summary>Key of the first problem.</summary>
    public string Key => Problems[0].Key;

    /// <summary>What is wrong first of all.</summary>
    public string Problem => Problems[0].Problem;

    /// <summary>What to write instead, for the first problem.</summary>
    public string? Suggestion => Problems[0].Suggestion;
}
