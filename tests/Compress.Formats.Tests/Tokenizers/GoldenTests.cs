using Compress.Formats.Tokenizers;
using Compress.Testing;

namespace Compress.Formats.Tests.Tokenizers;

/// <summary>Ids and texts equal what Hugging Face tokenizers, SentencePiece, tiktoken and llama.cpp give for the published files.</summary>
public class GoldenTests
{
    [SharedDataTheory]
    [InlineData("gpt2", "tokenizer.json", "golden.jsonl")]
    [InlineData("opt", "tokenizer.json", "golden.jsonl")]
    [InlineData("opt-roberta-style", "tokenizer.json", "golden.jsonl")]
    [InlineData("starcoder2", "tokenizer.json", "golden.jsonl")]
    [InlineData("gpt-neox-20b", "tokenizer.json", "golden.jsonl")]
    [InlineData("llama-2", "tokenizer.json", "golden.jsonl")]
    [InlineData("bert-uncased-minilm", "tokenizer.json", "golden.jsonl")]
    [InlineData("t5-small", "tokenizer.json", "golden.jsonl")]
    [InlineData("t5-small", "tokenizer.json", "golden-single.jsonl")]
    [InlineData("pegasus-large", "tokenizer.json", "golden.jsonl")]
    [InlineData("pegasus-large", "tokenizer.json", "golden-single.jsonl")]
    public void Every_golden_line_is_met(string folder, string file, string golden)
    {
        var tokenizer = Tokenizer.Load(SharedData.At("tokenizers", folder, file));
        var differences = new List<string>();
        var lines = 0;
        foreach (var line in GoldenLine.Read(SharedData.At("tokenizers", folder, golden)).Where(l => l.Sources.Contains(file)))
        {
            lines++;
            var ids = tokenizer.Encode(line.Text, line.AddSpecialTokens);
            if (line.CompareIds(ids) is { } wrong) differences.Add($"{line.Id} {line.AddSpecialTokens} encode {wrong}");
            if (line.Ids is null) continue;
            Compare(line, "decode", line.Decoded, tokenizer.Decode(line.Ids, skipSpecialTokens: true), differences);
            Compare(line, "decode-special", line.DecodedWithSpecial, tokenizer.Decode(line.Ids, skipSpecialTokens: false), differences);
        }
        Assert.True(lines > 0);
        Assert.True(differences.Count == 0, $"{differences.Count} of {lines}\n" + string.Join('\n', differences.Take(30)));
    }

    static void Compare(GoldenLine line, string what, string? expected, string actual, List<string> differences)
    {
        if (expected is not null && expected != actual) differences.Add($"{line.Id} {line.AddSpecialTokens} {what} '{actual}' != '{expected}'");
    }
}
