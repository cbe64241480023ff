using Compress.Formats.Tokenizers.Patterns;

namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>What happens to a delimiter that was found.</summary>
enum SplitBehavior
{
    /// <summary>It is dropped.</summary>
    Removed,

    /// <summary>It is a piece of its own.</summary>
    Isolated,

    /// <summary>It ends the piece before it.</summary>
    MergedWithPrevious,

    /// <summary>It begins the piece after it.</summary>
    MergedWithNext,

    /// <summary>Adjacent delimiters form one piece.</summary>
    Contiguous,
}

/// <summary>Finds delimiters and cuts a text there (Hugging Face's <c>SplitDelimiterBehavior</c>).</summary>
sealed class Splitter(Action<string, Action<int, int>> find, SplitBehavior behavior, bool inverted)
{
    internal Splitter(Pattern pattern, SplitBehavior behavior, bool inverted)
        : this((text, found) => pattern.ForEachMatch(text, found), behavior, inverted)
    {
    }

    /// <summary>Calls <paramref name="emit"/> with start and length of every piece that is not empty.</summary>
    internal void Split(string text, Action<int, int> emit)
    {
        var state = new Merger(behavior, emit);
        var end = 0;
        find(text, (start, length) =>
        {
            state.Add(end, start - end, inverted);
            state.Add(start, length, !inverted);
            end = start + length;
        });
        state.Add(end, text.Length - end, inverted);
        state.Flush();
    }

    /// <summary>A finder of single code points.</summary>
    internal static Action<string, Action<int, int>> Each(Func<int, bool> isDelimiter) => (text, found) =>
    {
        for (int i = 0, length; i < text.Length; i += length)
        {
            if (isDelimiter(CodePointSet.CodePointAt(text, i, out length))) found(i, length);
        }
    };

    /// <summary>A finder of a literal text.</summary>
    internal static Action<string, Action<int, int>> Literal(string literal) => (text, found) =>
    {
        for (var i = 0; literal.Length > 0 && (i = text.IndexOf(literal, i, StringComparison.Ordinal)) >= 0; i += literal.Length)
        {
            found(i, literal.Length);
        }
    };

    sealed class Merger(SplitBehavior behavior, Action<int, int> emit)
    {
        int pendingStart;
        int pendingLength;
        bool pendingIsDelimiter;

        internal void Add(int start, int length, bool isDelimiter)
        {
            if (length == 0) return;
            switch (behavior)
            {
                case SplitBehavior.Removed:
                    if (!isDelimiter) emit(start, length);
                    return;
                case SplitBehavior.Isolated:
                    emit(start, length);
                    return;
            }
            var joins = behavior switch
            {
                SplitBehavior.MergedWithPrevious => isDelimiter && !pendingIsDelimiter,
                SplitBehavior.MergedWithNext => !isDelimiter && pendingIsDelimiter,
                _ => isDelimiter == pendingIsDelimiter,
            };
            if (pendingLength > 0 && !joins) Flush();
            if (pendingLength == 0) pendingStart = start;
            pendingLength += length;
            pendingIsDelimiter = isDelimiter;
        }

        internal void Flush()
        {
            if (pendingLength > 0) emit(pendingStart, pendingLength);
            pendingLength = 0;
        }
    }
}
