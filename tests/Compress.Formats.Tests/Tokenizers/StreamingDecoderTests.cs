using Compress.Formats.Tokenizers;
using Compress.Testing;

namespace Compress.Formats.Tests.Tokenizers;

public class StreamingDecoderTests
{
    static List<string> Stream(Tokenizer tokenizer, IEnumerable<int> ids, bool skipSpecialTokens = true)
    {
        var decoder = new StreamingDecoder(tokenizer, skipSpecialTokens);
        List<string> parts = [.. ids.Select(decoder.Append)];
        parts.Add(decoder.Flush());
        return parts;
    }

    [Fact]
    public void A_character_appears_with_its_last_byte()
    {
        var tokenizer = SyntheticFiles.Load("ranks", SyntheticFiles.Tiktoken());
        Assert.Equal(["a", "", "", "", "😀", "b", ""], Stream(tokenizer, tokenizer.Encode("a😀b")));
    }

    [Fact]
    public void Bytes_that_never_form_a_character_are_given_out_at_last()
    {
        var tokenizer = SyntheticFiles.Load("ranks", SyntheticFiles.Tiktoken());
        int[] ids = [.. Enumerable.Repeat(0xFF, 100), 0xE2, 0x82, 0xAC, 0xE2];
        var parts = Stream(tokenizer, ids);
        Assert.Equal(tokenizer.Decode(ids), string.Concat(parts));
        Assert.All(parts.Take(100), p => Assert.True(p.Length < 20));
    }

    [Fact]
    public void A_special_token_does_not_make_the_next_one_first()
    {
        (string, float, int)[] pieces =
        [
            ("<unk>", 0, SyntheticFiles.Unknown), ("<s>", 0, SyntheticFiles.Control), ("▁a", -1, SyntheticFiles.Normal),
        ];
        var tokenizer = SyntheticFiles.Load("m.model", SyntheticFiles.SentencePiece(SyntheticFiles.Bpe, pieces));
        Assert.Equal(["", "a", "", " a", "", "", " a", ""], Stream(tokenizer, [1, 2, 1, 2, 1, 1, 2]));
    }

    [SharedDataTheory]
    [InlineData("gpt2", "tokenizer.json")]
    [InlineData("llama-2", "tokenizer.json")]
    [InlineData("llama-2", "tokenizer.model")]
    [InlineData("llama-3-tiktoken", "tokenizer.model")]
    [InlineData("t5-small", "spiece.model")]
    [InlineData("bert-uncased-minilm", "tokenizer.json")]
    public void The_parts_join_to_the_whole_text(string folder, string file)
    {
        var tokenizer = Tokenizer.Load(SharedData.At("tokenizers", folder, file));
        foreach (var line in GoldenLine.Read(SharedData.At("tokenizers", folder, "golden.jsonl")).Where(l => l.Ids is not null))
        {
            Assert.Equal(tokenizer.Decode(line.Ids), string.Concat(Stream(tokenizer, line.Ids!)));
        }
    }
}
