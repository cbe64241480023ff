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
    [InlineData("llama-2", "tokenizer.model", "golden.jsonl")]
    [InlineData("llama-3-tiktoken", "tokenizer.model", "golden.jsonl")]
    [InlineData("llama-3-tiktoken", "tokenizer.model", "golden-single.jsonl")]
    [InlineData("mistral-v1", "tokenizer.model", "golden.jsonl")]
    [InlineData("mistral-v1", "tokenizer.model", "golden-single.jsonl")]
    [InlineData("mistral-v3", "tokenizer.model", "golden.jsonl")]
    [InlineData("mistral-v3", "tokenizer.model", "golden-single.jsonl")]
    [InlineData("t5-small", "spiece.model", "golden.jsonl")]
    [InlineData("t5-small", "spiece.model", "golden-single.jsonl")]
    [InlineData("albert-v1", "spiece.model", "golden.jsonl")]
    [InlineData("albert-v1", "spiece.model", "golden-single.jsonl")]
    [InlineData("sp-fixtures", "test_sentencepiece.model", "golden-test_sentencepiece.jsonl")]
    [InlineData("sp-fixtures", "test_sentencepiece.model", "golden-test_sentencepiece-single.jsonl")]
    [InlineData("sp-fixtures", "test_sentencepiece_bpe.model", "golden-test_sentencepiece_bpe.jsonl")]
    [InlineData("sp-fixtures", "test_sentencepiece_bpe.model", "golden-test_sentencepiece_bpe-single.jsonl")]
    [InlineData("sp-fixtures", "test_sentencepiece_bpe_char.model", "golden-test_sentencepiece_bpe_char-single.jsonl")]
    [InlineData("sp-fixtures", "test_sentencepiece_no_bos.model", "golden-test_sentencepiece_no_bos.jsonl")]
    [InlineData("sp-fixtures", "test_sentencepiece_no_bos.model", "golden-test_sentencepiece_no_bos-single.jsonl")]
    [InlineData("sp-fixtures", "test_sentencepiece_with_bytefallback.model", "golden-test_sentencepiece_with_bytefallback.jsonl")]
    [InlineData("sp-fixtures", "test_sentencepiece_with_bytefallback.model", "golden-test_sentencepiece_with_bytefallback-single.jsonl")]
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
