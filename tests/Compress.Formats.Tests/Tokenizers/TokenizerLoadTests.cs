using System.Diagnostics;
using System.Text;
using Compress.Formats.Tokenizers;

namespace Compress.Formats.Tests.Tokenizers;

/// <summary>Files that are missing, malformed or made to hurt end in one clear exception, quickly and without large allocations.</summary>
public class TokenizerLoadTests
{
    const string Bpe = """{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}""";

    static string Json(string more, string model = Bpe) => $$"""{"version":"1.0",{{more}}"model":{{model}}}""";

    [Fact]
    public void A_folder_without_tokenizer_is_named()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains(folder.Path, Assert.Throws<ModelFileException>(() => Tokenizer.Load(folder.Path)).Message, StringComparison.Ordinal);
        Assert.Throws<ModelFileException>(() => Tokenizer.Load(Path.Combine(folder.Path, "absent")));
    }

    [Fact]
    public void The_files_of_a_folder_are_tried_in_order()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(Path.Combine(folder.Path, "tokenizer.model"), SyntheticFiles.Tiktoken("the"));
        Assert.Equal(257, Tokenizer.Load(folder.Path).VocabularySize);
        File.WriteAllBytes(Path.Combine(folder.Path, "tokenizer.json"), SyntheticFiles.TokenizerJson());
        Assert.Equal(264, Tokenizer.Load(folder.Path).VocabularySize);
    }

    [Theory]
    [InlineData("", "not a tokenizer")]
    [InlineData("garbage", "not a tokenizer")]
    [InlineData("{", "not valid JSON")]
    [InlineData("[]", "not a tokenizer")]
    [InlineData("{}", "\"model\"")]
    [InlineData("""{"model":5}""", "$.model")]
    [InlineData("""{"model":{"type":"Magic"}}""", "Magic")]
    [InlineData("""{"model":{"type":"BPE","vocab":[],"merges":[]}}""", "$.model.vocab")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}}""", "-1")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":2147483647},"merges":[]}}""", "2147483647")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":5000000},"merges":[]}}""", "5000000")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":1e99},"merges":[]}}""", "32 bits")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":"0"},"merges":[]}}""", "not a number")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"\ud800":0},"merges":[]}}""", "Unicode")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}""", "$.model.merges[0]")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":0},"merges":["a"]}}""", "$.model.merges[0]")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":0},"merges":[["a","b","c"]]}}""", "$.model.merges[0]")]
    [InlineData("""{"model":{"type":"WordPiece","vocab":{"a":0},"unk_token":"[UNK]"}}""", "[UNK]")]
    [InlineData("""{"model":{"type":"WordPiece","vocab":{}}}""", "[UNK]")]
    [InlineData("""{"model":{"type":"Unigram","vocab":[]}}""", "$.model.vocab")]
    [InlineData("""{"model":{"type":"Unigram","vocab":[["a"]]}}""", "$.model.vocab[0]")]
    [InlineData("""{"model":{"type":"Unigram","vocab":[["a",1e999]]}}""", "$.model.vocab[0]")]
    [InlineData("""{"model":{"type":"Unigram","unk_id":7,"vocab":[["a",0]]}}""", "unk_id 7")]
    public void A_malformed_file_is_refused_with_its_key(string content, string expected) =>
        Refused(content, expected);

    [Theory]
    [InlineData("""{"type":"Magic"}""", "Magic", "normalizer", "pre_tokenizer", "post_processor", "decoder")]
    [InlineData("""{"type":5}""", ".type", "normalizer", "pre_tokenizer", "post_processor", "decoder")]
    [InlineData("[]", "object", "normalizer", "pre_tokenizer", "post_processor", "decoder")]
    [InlineData("""{"type":"Sequence"}""", "no \"", "normalizer", "pre_tokenizer", "post_processor", "decoder")]
    [InlineData("""{"type":"Replace","pattern":{"Regex":"("},"content":""}""", "pattern '('", "normalizer", "decoder")]
    [InlineData("""{"type":"Precompiled","precompiled_charsmap":"AAAA"}""", "character map", "normalizer")]
    [InlineData("""{"type":"Precompiled","precompiled_charsmap":"////fwAAAAAA"}""", "character map", "normalizer")]
    [InlineData("""{"type":"Precompiled","precompiled_charsmap":"?"}""", "Base64", "normalizer")]
    [InlineData("""{"type":"Split","pattern":{"Regex":"a{9999}"},"behavior":"Isolated"}""", "out of range", "pre_tokenizer")]
    [InlineData("""{"type":"Split","pattern":{"String":"a"},"behavior":"Maybe"}""", "Maybe", "pre_tokenizer")]
    [InlineData("""{"type":"Metaspace","replacement":"ab"}""", "single character", "pre_tokenizer", "decoder")]
    [InlineData("""{"type":"TemplateProcessing","single":[],"special_tokens":{}}""", "exactly once", "post_processor")]
    [InlineData("""{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}}],"special_tokens":{}}""", "\"x\"", "post_processor")]
    public void A_malformed_component_is_refused_with_its_key(string component, string expected, params string[] places)
    {
        foreach (var place in places) Refused(Json($"\"{place}\":{component},"), expected);
    }

    [Theory]
    [InlineData("""[{"id":1}]""", "content")]
    [InlineData("""[{"id":-1,"content":"x"}]""", "$.added_tokens[0].id")]
    [InlineData("""[{"id":1,"content":5}]""", "$.added_tokens[0].content")]
    public void A_malformed_added_token_is_refused(string tokens, string expected) => Refused(Json($"\"added_tokens\":{tokens},"), expected);

    static void Refused(string content, string expected)
    {
        var error = Assert.Throws<ModelFileException>(() => SyntheticFiles.Load("tokenizer.json", Encoding.UTF8.GetBytes(content)));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Deep_nesting_is_refused() =>
        Refused(Json($"\"normalizer\":{string.Concat(Enumerable.Repeat("{\"type\":\"Sequence\",\"normalizers\":[", 5000))}"), "not valid JSON");

    [Fact]
    public void An_endless_pattern_in_a_file_ends_in_an_error()
    {
        var json = Json("""
            "pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a|a)*b"},"behavior":"Isolated"},
            """);
        var tokenizer = SyntheticFiles.Load("tokenizer.json", Encoding.UTF8.GetBytes(json));
        Assert.Throws<ModelFileException>(() => tokenizer.Encode(new string('a', 100)));
    }

    public static TheoryData<string> Bombs
    {
        get
        {
            const string replace = """{"type":"Replace","pattern":{"String":"a"},"content":"aaaaaaaaaaaaaaaa"}""";
            const string byteLevel = """{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}""";
            static string Many(string step) => string.Join(',', Enumerable.Repeat(step, 40));
            return
            [
                $$"""{"normalizer":{"type":"Sequence","normalizers":[{{Many(replace)}}]},"model":{{Bpe}}}""",
                $$"""{"normalizer":{"type":"Replace","pattern":{"String":"a"},"content":"{{new string('b', 200_000)}}"},"model":{{Bpe}}}""",
                $$"""{"normalizer":{"type":"Sequence","normalizers":[{{Many("""{"type":"ByteLevel"}""")}}]},"model":{{Bpe}}}""",
                $$"""{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{{Many(byteLevel)}}]},"model":{{Bpe}}}""",
                $$"""{"decoder":{"type":"Sequence","decoders":[{{Many(replace)}}]},"model":{{Bpe}}}""",
            ];
        }
    }

    [Theory]
    [MemberData(nameof(Bombs))]
    public void Rules_that_multiply_the_text_end_in_an_error(string json)
    {
        var tokenizer = SyntheticFiles.Load("tokenizer.json", Encoding.UTF8.GetBytes(json));
        Assert.Throws<ModelFileException>(() => tokenizer.Decode([.. tokenizer.Encode("aé" + new string('a', 1000)), 0, 0]));
    }

    [Fact]
    public void A_sequence_of_too_many_steps_is_refused() =>
        Refused(Json($"\"normalizer\":{{\"type\":\"Sequence\",\"normalizers\":[{string.Join(',', Enumerable.Repeat("{\"type\":\"NFC\"}", 65))}]}},"), "64 steps");

    [Fact]
    public void An_id_outside_the_vocabulary_is_refused() =>
        Refused(Json("""
            "post_processor":{"type":"BertProcessing","sep":["b",1],"cls":["c",3]},
            """), "id 3 is outside");

    [Fact]
    public void A_wrong_configuration_beside_the_tokenizer_is_named()
    {
        var error = Assert.Throws<ModelFileException>(() => SyntheticFiles.Load("tokenizer.json", SyntheticFiles.TokenizerJson(), "{\"bos_token\": 5}"));
        Assert.Contains("tokenizer_config.json", error.Message, StringComparison.Ordinal);
    }

    public static TheoryData<string> Formats => ["tokenizer.json", "unigram.model", "bpe.model", "tokenizer.bin", "ranks"];

    static byte[] Sample(string format)
    {
        (string, float, int)[] pieces =
        [
            ("<unk>", 0, SyntheticFiles.Unknown), ("<s>", 0, SyntheticFiles.Control), ("▁", -1, SyntheticFiles.Normal),
            ("a", -2, SyntheticFiles.Normal), ("ab", -1, SyntheticFiles.Normal), ("b", -2, SyntheticFiles.UserDefined), ("c", -2, SyntheticFiles.Unused),
        ];
        return format switch
        {
            "tokenizer.json" => SyntheticFiles.TokenizerJson(),
            "unigram.model" => SyntheticFiles.SentencePiece(SyntheticFiles.Unigram, pieces),
            "bpe.model" => SyntheticFiles.SentencePiece(SyntheticFiles.Bpe, pieces, trainer: [(24, 0), (35, 0)], normalizer: [(3, 1), (4, 1)]),
            "tokenizer.bin" => SyntheticFiles.Llama2c([.. SyntheticFiles.Llama2cHead, ("a", -1), ("b", -1), ("ab", -1)]),
            _ => SyntheticFiles.Tiktoken("th", "the", "ab"),
        };
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void A_damaged_file_loads_or_is_refused_but_never_crashes(string format)
    {
        var sample = Sample(format);
        var random = new Random(3);
        var refused = 0;
        using var folder = new TemporaryFolder();
        var file = Path.Combine(folder.Path, format);
        for (var i = 0; i < 400; i++)
        {
            var damaged = i % 4 == 0 ? sample[..random.Next(sample.Length)] : [.. sample];
            for (var k = random.Next(1, 4); k > 0 && damaged.Length > 0; k--) damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            File.WriteAllBytes(file, damaged);
            try
            {
                var tokenizer = Tokenizer.Load(file);
                tokenizer.Decode(tokenizer.Encode("the cat ab b c é😀"));
            }
            catch (ModelFileException)
            {
                refused++;
            }
        }
        Assert.True(refused > 20, $"{refused}");
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Any_ids_decode(string format)
    {
        var tokenizer = SyntheticFiles.Load(format, Sample(format));
        int[] ids = [-1, int.MinValue, int.MaxValue, tokenizer.VocabularySize, .. Enumerable.Range(0, tokenizer.VocabularySize)];
        Assert.NotNull(tokenizer.Decode(ids));
        Assert.Equal("", tokenizer.Decode([-5, 1 << 30]));
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Lone_surrogates_read_as_replacement_characters(string format)
    {
        var tokenizer = SyntheticFiles.Load(format, Sample(format));
        Assert.Equal(tokenizer.Encode("a\uFFFDb\uFFFD"), tokenizer.Encode("a\ud800b\udc00"));
    }

    /// <summary>Texts of a million characters in one line: anything quadratic would take hours.</summary>
    [Theory]
    [MemberData(nameof(Formats))]
    public void Long_lines_take_linear_time(string format)
    {
        var tokenizer = SyntheticFiles.Load(format, Sample(format));
        var clock = Stopwatch.StartNew();
        foreach (var unit in new[] { "a", "ab", "the ", " ", "é", "<" }) tokenizer.Encode(string.Concat(Enumerable.Repeat(unit, 400_000)));
        Assert.True(clock.Elapsed < TimeSpan.FromMinutes(2), $"{clock.Elapsed}");
    }
}
