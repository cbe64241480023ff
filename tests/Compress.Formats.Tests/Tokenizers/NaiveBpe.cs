using System.Text;
using System.Text.RegularExpressions;

namespace Compress.Formats.Tests.Tokenizers;

/// <summary>BPE training as the paper prints it: count all pairs, merge the most frequent, begin again.</summary>
static class NaiveBpe
{
    internal static List<(string, string)> Train(IEnumerable<string> texts, int specialTokens, int merges)
    {
        var alphabet = "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~".ToList();
        for (var b = 0xA1; b <= 0xFF; b++)
        {
            if (b != 0xAD) alphabet.Add((char)b);
        }
        var printable = alphabet.ToHashSet();
        var next = (char)256;
        var map = Enumerable.Range(0, 256).ToDictionary(b => (byte)b, b => printable.Contains((char)b) ? (char)b : next++);
        var order = map.Values.Order().Select((c, i) => (c.ToString(), i)).ToDictionary(p => p.Item1, p => p.i + specialTokens);
        // .NET's \p{L} misses letters above U+FFFF, of which the texts have none.
        var pattern = new Regex(
            @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+");
        var words = texts.SelectMany(t => pattern.Matches(t)).Select(m => Encoding.UTF8.GetBytes(m.Value).Select(b => map[b].ToString()).ToList()).ToList();
        var result = new List<(string, string)>();
        for (var step = 0; step < merges; step++)
        {
            var (left, right) = words.SelectMany(w => w.Zip(w.Skip(1))).GroupBy(p => p)
                .OrderByDescending(g => g.Count()).ThenBy(g => order[g.Key.First]).ThenBy(g => order[g.Key.Second]).First().Key;
            result.Add((left, right));
            order.TryAdd(left + right, order.Count + specialTokens);
            foreach (var word in words)
            {
                for (var i = 0; i + 1 < word.Count; i++)
                {
                    if (word[i] != left || word[i + 1] != right) continue;
                    word[i] = left + right;
                    word.RemoveAt(i + 1);
                }
            }
        }
        return result;
    }
}
