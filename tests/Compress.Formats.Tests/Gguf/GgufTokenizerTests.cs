using Compress.Formats.Gguf;
using Compress.Formats.Tests.Tokenizers;
using Compress.Testing;

namespace Compress.Formats.Tests.Gguf;

/// <summary>Ids equal what llama.cpp gives for the vocabularies of its own repository.</summary>
public class GgufTokenizerTests
{
    /// <summary>SentencePiece takes control tokens in a text for text, byte-level models for what they are.</summary>
    [SharedDataTheory]
    [InlineData("llama-spm", false)]
    [InlineData("phi-3", false)]
    [InlineData("falcon", true)]
    [InlineData("deepseek-coder", true)]
    public void Every_golden_line_is_met(string name, bool parseSpecial)
    {
        var path = SharedData.At("tokenizers", "gguf-vocab", $"ggml-vocab-{name}.gguf");
        using var file = GgufFile.Open(path);
        var tokenizer = GgufTokenizer.Read(file, path);
        var lines = GoldenLine.Read(SharedData.At("tokenizers", "gguf-vocab", $"golden-{name}.jsonl")).Where(l => l.ParseSpecial == parseSpecial).ToList();
        Assert.NotEmpty(lines);
        var wrong = lines.Select(l => (l.Id, Wrong: l.CompareIds(tokenizer.Encode(l.Text, l.AddSpecialTokens)))).Where(l => l.Wrong is not null).ToList();
        Assert.Empty(wrong);
    }

    [SharedDataFact]
    public void Refuses_a_kind_it_does_not_read_by_name()
    {
        var path = SharedData.At("tokenizers", "gguf-vocab", "ggml-vocab-bert-bge.gguf");
        using var file = GgufFile.Open(path);
        Assert.Contains("\"bert\"", Assert.Throws<ModelFileException>(() => GgufTokenizer.Read(file, path)).Message, StringComparison.Ordinal);
    }
}
