using Compress.Formats.Tokenizers;
using Compress.Testing;

namespace Compress.Formats.Tests.Tokenizers;

/// <summary>Ids and texts equal what Hugging Face tokenizers, SentencePiece, tiktoken and llama.cpp give for the published files.</summary>
public class GoldenTests
{
    [SharedDataTheory]
    [InlineData("gpt2", "tokenizer.json", "golden")]
    [InlineData("opt", "tokenizer.json", "golden")]
    [InlineData("opt-roberta-style", "tokenizer.json", "golden")]
    [InlineData("starcoder2", "tokenizer.json", "golden")]
    [InlineData("gpt-neox-20b", "tokenizer.json", "golden")]
    [InlineData("llama-2", "tokenizer.json", "golden")]
    [InlineData("bert-uncased-minilm", "tokenizer.json", "golden")]
    [InlineData("t5-small", "tokenizer.json", "golden", "golden-single")]
    [InlineData("pegasus-large", "tokenizer.json", "golden", "golden-single")]
    [InlineData("llama-2", "tokenizer.model", "golden")]
    [InlineData("llama-3-tiktoken", "tokenizer.model", "golden", "golden-single")]
    [InlineData("mistral-v1", "tokenizer.model", "golden", "golden-single")]
    [InlineData("mistral-v3", "tokenizer.model", "golden", "golden-single")]
    [InlineData("t5-small", "spiece.model", "golden", "golden-single")]
    [InlineData("albert-v1", "spiece.model", "golden", "golden-single")]
    public void Every_golden_line_is_met(string folder, string file, params string[] goldens) => Check(
        Tokenizer.Load(SharedData.At("tokenizers", folder, file)), file,
        goldens.Select(g => SharedData.At("tokenizers", folder, g + ".jsonl")));

    /// <summary>The fixtures belong to no model family; their goldens put both ends around a text, which a configuration says here.</summary>
    [SharedDataTheory]
    [InlineData("test_sentencepiece", "", "-single")]
    [InlineData("test_sentencepiece_bpe", "", "-single")]
    [InlineData("test_sentencepiece_bpe_char", "-single")]
    [InlineData("test_sentencepiece_no_bos", "", "-single")]
    [InlineData("test_sentencepiece_with_bytefallback", "", "-single")]
    public void Every_golden_line_of_a_fixture_is_met(string name, params string[] goldens)
    {
        using var folder = new TemporaryFolder();
        File.Copy(SharedData.At("tokenizers", "sp-fixtures", name + ".model"), Path.Combine(folder.Path, "tokenizer.model"));
        File.WriteAllText(Path.Combine(folder.Path, "tokenizer_config.json"), """{"add_bos_token": true, "add_eos_token": true}""");
        Check(Tokenizer.Load(folder.Path), name + ".model",
            goldens.Select(g => SharedData.At("tokenizers", "sp-fixtures", $"golden-{name}{g}.jsonl")));
    }

    static void Check(Tokenizer tokenizer, string file, IEnumerable<string> goldens)
    {
        foreach (var golden in goldens)
        {
            var lines = GoldenLine.Read(golden).Where(l => l.Sources.Contains(file)).ToList();
            Assert.NotEmpty(lines);
            Assert.Empty(lines.SelectMany(line => Differences(tokenizer, line)));
        }
    }

    static IEnumerable<string> Differences(Tokenizer tokenizer, GoldenLine line)
    {
        var which = $"{line.Id} (special tokens {(line.AddSpecialTokens ? "added" : "not added")})";
        if (line.CompareIds(tokenizer.Encode(line.Text, line.AddSpecialTokens)) is { } wrong) yield return $"{which}: {wrong}";
        if (line.Ids is null) yield break;
        foreach (var (expected, skip) in new[] { (line.Decoded, true), (line.DecodedWithSpecial, false) })
        {
            var text = tokenizer.Decode(line.Ids, skip);
            if (expected is not null && expected != text) yield return $"{which}: decoded '{text}', not '{expected}'";
        }
    }
}
