using System.Collections.Concurrent;

namespace Compress.Formats.Tokenizers;

/// <summary>The ids of words that were merged before. It stops growing at a fixed size: text without repetition must not fill the memory.</summary>
sealed class WordCache
{
    const int MostWords = 100_000;
    const int LongestWord = 64;
    readonly ConcurrentDictionary<string, int[]> words = new();
    int count;

    internal int[]? Find(string word) => word.Length <= LongestWord && words.TryGetValue(word, out var ids) ? ids : null;

    internal void Keep(string word, ReadOnlySpan<int> ids)
    {
        if (word.Length <= LongestWord && count < MostWords && words.TryAdd(word, ids.ToArray())) Interlocked.Increment(ref count);
    }
}
