namespace Compress.Formats.Tokenizers;

/// <summary>The two directions between tokens and ids.</summary>
sealed class Vocabulary
{
    /// <summary>Ids at or above this are taken for damage: the largest published vocabularies have a few hundred thousand tokens.</summary>
    internal const int MaximumSize = 1 << 23;

    readonly Dictionary<string, int> ids;
    readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup;
    readonly string?[] tokens;

    internal Vocabulary(Dictionary<string, int> ids)
    {
        this.ids = ids;
        lookup = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        tokens = new string?[ids.Count == 0 ? 0 : ids.Values.Max() + 1];
        foreach (var (token, id) in ids) tokens[id] = token;
    }

    Vocabulary(List<string> tokens, Dictionary<string, int> ids)
    {
        this.ids = ids;
        lookup = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        this.tokens = [.. tokens];
    }

    /// <summary>Tokens whose id is their place; the last of equal ones is what its text stands for.</summary>
    internal static Vocabulary FromList(List<string> tokens)
    {
        var ids = new Dictionary<string, int>(tokens.Count);
        for (var id = 0; id < tokens.Count; id++) ids[tokens[id]] = id;
        return new Vocabulary(tokens, ids);
    }

    /// <summary>One more than the largest id.</summary>
    internal int Size => tokens.Length;

    internal bool TryGetId(ReadOnlySpan<char> token, out int id) => lookup.TryGetValue(token, out id);

    internal string? TokenOf(int id) => (uint)id < (uint)tokens.Length ? tokens[id] : null;

    /// <summary>The tokens and their ids, in the file's order.</summary>
    internal IReadOnlyDictionary<string, int> Ids => ids;
}
