using Compress.Formats.Tokenizers.Patterns;

namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>Finds added tokens: those marked <c>normalized</c> in the normalized text, the others in the text as it was given.</summary>
sealed class AddedVocabulary
{
    readonly AddedToken[] raw;
    readonly AddedToken[] normalized;
    readonly LiteralMatcher rawMatcher;
    readonly LiteralMatcher normalizedMatcher;
    readonly Dictionary<int, AddedToken> byId = [];
    readonly Dictionary<string, int> byContent = [];

    internal AddedVocabulary(IEnumerable<AddedToken> tokens, Func<string, string> normalize)
    {
        var all = tokens.Where(t => t.Content.Length > 0).OrderBy(t => !t.Special).ToArray();
        foreach (var token in all)
        {
            byId.TryAdd(token.Id, token);
            byContent.TryAdd(token.Content, token.Id);
        }
        raw = [.. all.Where(t => !t.Normalized)];
        normalized = [.. all.Where(t => t.Normalized)];
        rawMatcher = new LiteralMatcher([.. raw.Select(t => t.Content)]);
        normalizedMatcher = new LiteralMatcher([.. normalized.Select(t => normalize(t.Content))]);
    }

    /// <summary>One more than the largest id, 0 where there is no token.</summary>
    internal int Size => byId.Count == 0 ? 0 : byId.Keys.Max() + 1;

    internal AddedToken? Find(int id) => byId.GetValueOrDefault(id);

    internal int? IdOf(string content) => byContent.TryGetValue(content, out var id) ? id : null;

    /// <summary>Cuts a text at the tokens that are looked for before normalization.</summary>
    internal void SplitRaw(string text, Action<int, int, AddedToken?> emit) => Split(text, rawMatcher, raw, emit);

    /// <summary>Cuts a normalized text at the tokens that are looked for there.</summary>
    internal void SplitNormalized(string text, Action<int, int, AddedToken?> emit) => Split(text, normalizedMatcher, normalized, emit);

    static void Split(string text, LiteralMatcher matcher, AddedToken[] tokens, Action<int, int, AddedToken?> emit)
    {
        var end = 0;
        var from = 0;
        while (matcher.TryFind(text, from, out var start, out var length, out var index))
        {
            var token = tokens[index];
            var stop = start + length;
            from = stop;
            if (token.SingleWord && (EndsWithWord(text.AsSpan(0, start)) || StartsWithWord(text.AsSpan(stop)))) continue;
            if (token.LeftStrip) start = Math.Max(end, text.AsSpan(0, start).TrimEnd().Length);
            if (token.RightStrip) stop = text.Length - text.AsSpan(stop).TrimStart().Length;
            if (end < start) emit(end, start - end, null);
            emit(start, stop - start, token);
            end = stop;
            from = Math.Max(from, stop);
        }
        if (end < text.Length) emit(end, text.Length - end, null);
    }

    static bool EndsWithWord(ReadOnlySpan<char> text) =>
        text.Length > 0 && CodePointSet.IsWord(CodePointSet.CodePointBefore(text, text.Length, out _));

    static bool StartsWithWord(ReadOnlySpan<char> text) =>
        text.Length > 0 && CodePointSet.IsWord(CodePointSet.CodePointAt(text, 0, out _));
}
