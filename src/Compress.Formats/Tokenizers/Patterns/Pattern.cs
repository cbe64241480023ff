namespace Compress.Formats.Tokenizers.Patterns;

/// <summary>A compiled tokenizer pattern: leftmost match, branches in order, over Unicode code points (not UTF-16 units).</summary>
/// <remarks>
/// .NET's own engine sees a letter above U+FFFF as two surrogates, which <c>\p{L}</c> does not contain, and knows no possessive
/// quantifier; tokenizer files rely on both. Matching counts its steps and gives up with an error, so that a pattern made to
/// backtrack for ever cannot hang the program.
/// </remarks>
sealed class Pattern
{
    const int MaximumPatternLength = 10_000;
    readonly Branch[] branches;
    readonly string source;

    /// <summary>One branch of the pattern's outermost choice, with the set that its first code point must be in (null: it may be empty).</summary>
    sealed record Branch(Instruction[] Code, int Registers, CodePointSet? First, bool LeadingRun);

    /// <summary>Compiles a pattern.</summary>
    /// <exception cref="FormatException">The pattern is malformed, too large or uses what is not supported.</exception>
    internal Pattern(string source)
    {
        if (source.Length > MaximumPatternLength) throw new FormatException("the pattern is longer than 10,000 characters");
        this.source = source;
        var root = PatternParser.Parse(source);
        var nodes = root is PatternNode.Choice choice ? choice.Branches : [root];
        branches = [.. nodes.Select(Compile)];
    }

    static Branch Compile(PatternNode node)
    {
        var (code, registers) = PatternProgram.Compile(node);
        var leading = code[0] is { Op: Op.GreedyRun, Max: int.MaxValue, Min: > 0 };
        return new Branch(code, registers, FirstOf(node), leading);
    }

    /// <summary>Calls <paramref name="found"/> for every non-empty match, from left to right.</summary>
    /// <exception cref="FormatException">Matching took more steps than any honest pattern needs.</exception>
    internal void ForEachMatch(ReadOnlySpan<char> text, Action<int, int> found)
    {
        var machine = new PatternMachine(text, source);
        var at = 0;
        Span<int> skipUntil = stackalloc int[Math.Min(branches.Length, 64)];
        while (at < text.Length)
        {
            var end = MatchAt(ref machine, text, at, skipUntil);
            if (end > at)
            {
                found(at, end - at);
                at = end;
            }
            else
            {
                CodePointSet.CodePointAt(text, at, out var length);
                at += length;
            }
        }
        machine.Release();
    }

    int MatchAt(ref PatternMachine machine, ReadOnlySpan<char> text, int at, scoped Span<int> skipUntil)
    {
        var first = CodePointSet.CodePointAt(text, at, out _);
        for (var i = 0; i < branches.Length; i++)
        {
            var branch = branches[i];
            if (branch.First is { } set && !set.Contains(first)) continue;
            if (i < skipUntil.Length && at < skipUntil[i]) continue;
            var end = machine.Run(branch.Code, branch.Registers, at);
            if (end >= 0) return end;
            // A branch that starts with X+ and failed here fails at every later start within the same run of X: the rest
            // of the branch was already tried at each end that such a start could reach.
            if (branch.LeadingRun && i < skipUntil.Length) skipUntil[i] = EndOfRun(text, at, branch.Code[0].Set!);
        }
        return -1;
    }

    static int EndOfRun(ReadOnlySpan<char> text, int at, CodePointSet set)
    {
        while (at < text.Length && set.Contains(CodePointSet.CodePointAt(text, at, out var length))) at += length;
        return at;
    }

    static CodePointSet? FirstOf(PatternNode node)
    {
        switch (node)
        {
            case PatternNode.Class one: return one.Set;
            case PatternNode.Atomic atomic: return FirstOf(atomic.Body);
            case PatternNode.Repeat { Min: > 0 } repeat: return FirstOf(repeat.Body);
            case PatternNode.Choice choice:
                var firsts = choice.Branches.Select(FirstOf).ToArray();
                return firsts.Contains(null) ? null : CodePointSet.Union(firsts!);
            case PatternNode.Sequence sequence: return FirstOfSequence(sequence.Items);
            default: return null;
        }
    }

    static CodePointSet? FirstOfSequence(IReadOnlyList<PatternNode> items)
    {
        var sets = new List<CodePointSet>();
        foreach (var item in items)
        {
            if (FirstOf(item) is { } definite)
            {
                sets.Add(definite);
                return CodePointSet.Union(sets);
            }
            // An optional first item: what follows it may come first too.
            if (item is not PatternNode.Repeat { Min: 0 } optional || FirstOf(optional.Body) is not { } set) return null;
            sets.Add(set);
        }
        return null;
    }
}
