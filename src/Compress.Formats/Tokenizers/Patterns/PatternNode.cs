namespace Compress.Formats.Tokenizers.Patterns;

/// <summary>The syntax tree of a pattern.</summary>
abstract record PatternNode
{
    /// <summary>One code point out of a set.</summary>
    internal sealed record Class(CodePointSet Set) : PatternNode;

    /// <summary>One node after the other; matches the empty text where there are none.</summary>
    internal sealed record Sequence(IReadOnlyList<PatternNode> Items) : PatternNode;

    /// <summary>The first branch that lets the whole pattern match.</summary>
    internal sealed record Choice(IReadOnlyList<PatternNode> Branches) : PatternNode;

    /// <summary>A node <paramref name="Min"/> to <paramref name="Max"/> times (-1: without limit).</summary>
    internal sealed record Repeat(PatternNode Body, int Min, int Max, bool Greedy) : PatternNode;

    /// <summary>A node that gives nothing back once it has matched.</summary>
    internal sealed record Atomic(PatternNode Body) : PatternNode;

    /// <summary>A look ahead or behind that consumes nothing.</summary>
    internal sealed record Look(PatternNode Body, bool Behind, bool Negative) : PatternNode;

    /// <summary>A condition on the position.</summary>
    internal sealed record Anchor(AnchorKind Kind) : PatternNode;
}

/// <summary>What a position must satisfy.</summary>
enum AnchorKind
{
    /// <summary>Start of the text or just after a newline that does not end it.</summary>
    LineStart,

    /// <summary>End of the text or just before a newline.</summary>
    LineEnd,

    /// <summary>Start of the text.</summary>
    TextStart,

    /// <summary>End of the text.</summary>
    TextEnd,

    /// <summary>End of the text, or just before a newline that ends it.</summary>
    TextEndOrFinalNewline,

    /// <summary>Between a word character and another.</summary>
    WordBoundary,

    /// <summary>Anywhere else.</summary>
    NotWordBoundary,
}
