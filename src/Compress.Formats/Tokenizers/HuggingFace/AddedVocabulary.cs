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
        foreach (var token in tokens.Where(t => t.Content.Length > 0))
        {
            if (byContent.TryAdd(token.Content, token.Id)) byId.TryAdd(token.Id, token);
        }
        var all = byId.Values.OrderBy(t => !t.Special).ThenBy(t => t.Id).ToArray();
        raw = [.. all.Where(t => !t.Normalized)];
        normalized = [.. all.Where(t => t.Normalized)];
        rawMatcher = new LiteralMatcher([.. raw.Select(t => t.Content)]);
        normalizedMatcher = new LiteralMatcher([.. normalized.Select(t => normalize(t.Content))]);
    }

    /// <summary>Gives tokens the ids that the library gives them, whatever the file says: the model's own, or the next after all.</summary>
    internal static List<AddedToken> Number(IEnumerable<AddedToken> tokens, Vocabulary model)
    {
        var numbered = new List<AddedToken>();
        var seen = new HashSet<string>();
        var next = model.Ids.Count;
        foreach (var token in tokens.Where(t => t.Content.Length > 0 && seen.Add(t.Content)))
        {
            if (!model.TryGetId(token.Content, out var id)) id = next;
            next = Math.Max(next, id + 1);
            numbered.Add(token with { Id = id });
        }
        return numbered;
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
        text.Length > 0 && CodePointSet.IsRustWord(CodePointSet.CodePointBefore(text, text.Length, out _));

    static bool StartsWithWord(ReadOnlySpan<char> text) =>
        text.Length > 0 && CodePointSet.IsRustWord(CodePointSet.CodePointAt(text, 0, out _));
}
