using System.Text.RegularExpressions;
using Compress.Formats.Tokenizers;
using Compress.Testing;

namespace Compress.Formats.Tests.Tokenizers;

/// <summary>A llama2.c vocabulary of single characters without byte tokens.</summary>
public class CharacterVocabularyTests
{
    [SharedDataFact]
    public void Every_character_is_its_line_of_the_vocabulary_and_the_rest_is_unknown()
    {
        var folder = SharedData.At("models", "babyllama-tok105");
        var lines = File.ReadAllLines(Path.Combine(folder, "tok105.vocab")).Select(l => l.Split('\t')[0].Replace('\u2581', ' ')).ToList();
        var text = Regex.Replace(File.ReadAllText(SharedData.At("text", "tinystories", "tinystories_val.txt"))[..20_000], @"\s+", " ") + "\u4E2D\n";
        int[] expected = [1, .. (" " + text).Select(c => Math.Max(0, lines.IndexOf(c.ToString())))];
        Assert.Contains(0, expected);

        var tokenizer = Tokenizer.Load(Path.Combine(folder, "tok105.bin"));
        var ids = tokenizer.Encode(text);
        Assert.Equal(expected, ids);
        Assert.Equal(105, tokenizer.VocabularySize);
        Assert.Equal(text[..^2], tokenizer.Decode(ids.AsSpan(0, ids.Length - 2)));
    }
}
