using Compress.Formats.Tokenizers;
using static Compress.Formats.Tests.Tokenizers.SyntheticFiles;

namespace Compress.Formats.Tests.Tokenizers;

/// <summary>What the published models do not exercise; the answers follow by hand from SentencePiece's documentation and its merge rule.</summary>
public class SentencePieceTests
{
    static readonly (string, float, int)[] Ends = [("<unk>", 0, Unknown), ("<s>", 0, Control), ("</s>", 0, Control)];

    static Tokenizer Model(int kind, (string, float, int)[] pieces, (int, int)[]? trainer = null, (int, int)[]? normalizer = null, string? configuration = null) =>
        Load("tokenizer.model", SentencePiece(kind, [.. Ends, .. pieces], trainer, normalizer), configuration);

    static string Pieces(Tokenizer tokenizer, string text) =>
        string.Join(' ', tokenizer.Encode(text, addSpecialTokens: false).Select(tokenizer.TokenOf));

    [Fact]
    public void A_user_defined_symbol_is_never_split_or_merged()
    {
        (string, float, int)[] characters = [("▁", -1, Normal), ("a", -2, Normal), ("b", -3, Normal), ("ba", 0, UserDefined)];
        (string, float, int)[] pieces = [.. characters, ("ab", -0.5f, Normal), ("aba", -0.4f, Normal)];
        Assert.Equal("▁ a ba a", Pieces(Model(Bpe, pieces), "abaa"));
        Assert.Equal("▁ a ba a", Pieces(Model(Unigram, characters), "abaa"));
        Assert.Equal("▁ a ba a", Pieces(Model(Character, pieces), "abaa"));
    }

    [Fact]
    public void An_unused_piece_is_merged_through_but_given_out_as_its_parts()
    {
        (string, float, int)[] pieces =
            [("▁", -9, Normal), ("a", -9, Normal), ("b", -9, Normal), ("c", -9, Normal), ("ab", -1, Unused), ("abc", -2, Normal)];
        var tokenizer = Model(Bpe, pieces);
        Assert.Equal("▁ abc", Pieces(tokenizer, "abc"));
        Assert.Equal("▁ a b a b", Pieces(tokenizer, "abab"));
    }

    [Fact]
    public void Words_are_cut_at_spaces()
    {
        var tokenizer = Model(Word, [("▁the", -1, Normal), ("▁cat", -2, Normal)]);
        Assert.Equal("▁the <unk> ▁cat", Pieces(tokenizer, "the black cat"));
        Assert.Equal("the \u2047 cat", tokenizer.Decode(tokenizer.Encode("the black cat")).Replace("  ", " ", StringComparison.Ordinal));
    }

    [Fact]
    public void The_space_may_be_a_suffix()
    {
        var tokenizer = Model(Word, [("a", -1, Normal), ("▁b", -1, Normal), ("▁", -1, Normal)], trainer: [(24, 1)]);
        Assert.Equal("a ▁b ▁", Pieces(tokenizer, "a b"));
    }

    [Theory]
    [InlineData(1, 1, "  a   b ", "▁ a ▁ b")]
    [InlineData(0, 1, "  a   b ", "a ▁ b")]
    [InlineData(1, 0, " a  b ", "▁ ▁ a ▁ ▁ b ▁")]
    [InlineData(0, 0, " a  b ", "▁ a ▁ ▁ b ▁")]
    public void Dummy_prefix_and_extra_spaces_follow_the_model(int prefix, int remove, string text, string expected)
    {
        var tokenizer = Model(Character, [("▁", -1, Normal), ("a", -1, Normal), ("b", -1, Normal)], normalizer: [(3, prefix), (4, remove)]);
        Assert.Equal(expected, Pieces(tokenizer, text));
    }

    [Theory]
    [InlineData(null, new[] { 1, 3, 4 })]
    [InlineData("""{"add_bos_token": false}""", new[] { 3, 4 })]
    [InlineData("""{"add_bos_token": true, "add_eos_token": true}""", new[] { 1, 3, 4, 2 })]
    public void The_ends_of_a_sequence_follow_the_configuration(string? configuration, int[] expected)
    {
        var tokenizer = Model(Character, [("▁", -1, Normal), ("a", -1, Normal)], configuration: configuration);
        Assert.Equal(expected, tokenizer.Encode("a"));
        Assert.Equal((1, 2), (tokenizer.BosId, tokenizer.EosId));
    }

    [Fact]
    public void Bytes_that_form_no_character_are_marked_one_by_one()
    {
        var bytes = Enumerable.Range(0, 256).Select(b => ($"<0x{b:X2}>", 0f, ByteValue));
        var tokenizer = Model(Bpe, [.. bytes, ("▁", -1, Normal)], trainer: [(35, 1)]);
        var ids = tokenizer.Encode("é", addSpecialTokens: false);
        Assert.Equal("▁ <0xC3> <0xA9>", string.Join(' ', ids.Select(tokenizer.TokenOf)));
        Assert.Equal("é", tokenizer.Decode(ids));
        Assert.Equal("\uFFFD\uFFFD▁"[..2] + " ", tokenizer.Decode([3 + 0xE2, 3 + 0x82, 3 + 256]));
    }
}
