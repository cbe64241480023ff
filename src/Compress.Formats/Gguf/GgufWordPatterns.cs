using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using Compress.Formats.Tokenizers;

namespace Compress.Formats.Gguf;

/// <summary>How byte-level tokenizers of GGUF files cut a text into words, by their <c>tokenizer.ggml.pre</c>: patterns applied in turn.</summary>
internal static class GgufWordPatterns
{
    private const string Qwen2 =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private static readonly FrozenDictionary<string, string[]> ByName = new Dictionary<string, string[]>
    {
        ["default"] = [@"[\p{P}\$\+<=>\^~\|]+", PublishedPatterns.Gpt2, @"\p{N}+", "[0-9][0-9][0-9]"],
        ["gpt-2"] = [PublishedPatterns.Gpt2],
        ["mpt"] = [PublishedPatterns.Gpt2],
        ["olmo"] = [PublishedPatterns.Gpt2],
        ["llama-bpe"] = [PublishedPatterns.Llama3],
        ["llama3"] = [PublishedPatterns.Llama3],
        ["qwen2"] = [Qwen2],
        ["deepseek-r1-qwen"] = [Qwen2],
        ["smollm"] = [@"\p{N}", PublishedPatterns.Gpt2],
        ["starcoder"] = [@"\p{N}", PublishedPatterns.Gpt2],
        ["refact"] = [@"\p{N}", PublishedPatterns.Gpt2],
        ["falcon"] = [@"[\p{P}\$\+<=>\^~\|`]+", PublishedPatterns.Gpt2, "[0-9][0-9][0-9]"],
        ["deepseek-coder"] = ["[\r\n]", @"\s?\p{L}+", @"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", @"\p{N}"],
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>One name for each way, the usual one.</summary>
    private static readonly string[] Preferred = ["gpt-2", "llama-bpe", "qwen2", "smollm", "falcon", "deepseek-coder"];

    /// <summary>The names that are known, in order.</summary>
    public static IEnumerable<string> Names => ByName.Keys.Order(StringComparer.Ordinal);

    /// <summary>Patterns by name.</summary>
    public static bool TryFind(string name, [NotNullWhen(true)] out string[]? patterns) => ByName.TryGetValue(name, out patterns);

    /// <summary>The name of patterns; null where they have none.</summary>
    public static string? NameOf(IReadOnlyList<string> patterns) =>
        Preferred.FirstOrDefault(name => ByName[name].AsSpan().SequenceEqual([.. patterns]));
}
