using System.Text.Json;
using Compress.Formats.Tokenizers;

namespace Compress.Formats.Tests.Tokenizers;

public class BpeTrainerTests
{
    static readonly string[] Corpus =
    [
        "The method returns the value of the parameter, or null where the parameter is absent.",
        "Returns a new instance of the class; the instance is not thread-safe.\n\n\tThe value 12345 is the default.",
        "naïve café — 東京タワー 🚀 don't won't can't",
    ];

    static TrainedBpe Train(IEnumerable<string> texts, int size = 290) => BpeTrainer.Train(texts, new BpeTrainerOptions
    {
        VocabularySize = size,
        SpecialTokens = ["<|bos|>", "<|eos|>"],
        BosToken = "<|bos|>",
        EosToken = "<|eos|>",
    });

    [Fact]
    public void Any_text_survives_the_round_trip()
    {
        var tokenizer = Train(Corpus).ToTokenizer();
        foreach (var text in Corpus.Concat(["", " ", "Zürich\r\n\0\u00ad\U0010ffff", "never seen: ΣΔΨ"]))
        {
            Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)));
        }
    }

    [Fact]
    public void The_merges_equal_those_of_the_textbook_algorithm()
    {
        var trained = Train(Corpus, 300);
        var expected = NaiveBpe.Train(Corpus, specialTokens: 2, merges: 300 - 258);
        Assert.Equal(expected, trained.Merges.Select(m => (trained.Tokens[m.Left], trained.Tokens[m.Right])));
    }

    [Fact]
    public void The_same_texts_in_any_order_give_the_same_bytes()
    {
        using var first = new TemporaryFolder();
        using var second = new TemporaryFolder();
        Train(Corpus).Save(first.Path);
        Train(Corpus.Reverse()).Save(second.Path);
        foreach (var name in new[] { "tokenizer.json", "tokenizer_config.json" })
        {
            Assert.Equal(File.ReadAllBytes(Path.Combine(first.Path, name)), File.ReadAllBytes(Path.Combine(second.Path, name)));
        }
    }

    [Fact]
    public void The_saved_folder_loads_with_its_special_tokens()
    {
        using var folder = new TemporaryFolder();
        var trained = Train(Corpus);
        trained.Save(folder.Path);
        var tokenizer = Tokenizer.Load(folder.Path);
        Assert.Equal((290, 0, 1), (tokenizer.VocabularySize, tokenizer.BosId, tokenizer.EosId));
        Assert.Equal([0, .. tokenizer.Encode("the value", addSpecialTokens: false)], tokenizer.Encode("the value"));
        Assert.Equal([1], tokenizer.Encode("<|eos|>", addSpecialTokens: false));
        Assert.Equal("<|bos|>the value", tokenizer.Decode(tokenizer.Encode("the value"), skipSpecialTokens: false));
        using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder.Path, "tokenizer.json")));
        Assert.Equal(290, json.RootElement.GetProperty("model").GetProperty("vocab").EnumerateObject().Count());
    }

    [Fact]
    public void Training_compresses_its_text()
    {
        var text = string.Join(' ', Corpus);
        var ids = Train(Corpus.Concat(Corpus), 400).ToTokenizer().Encode(text, addSpecialTokens: false);
        Assert.True(ids.Length < text.Length / 2, $"{ids.Length} ids for {text.Length} characters");
    }

    [Fact]
    public void A_corpus_without_repetition_gives_only_bytes()
    {
        var trained = Train(["abcdefg"], 1000);
        Assert.Equal(258, trained.Tokens.Count);
    }

    [Theory]
    [InlineData(257, "<|bos|>")]
    [InlineData(400, "<|other|>")]
    public void Contradicting_options_are_refused(int size, string bos) =>
        Assert.Throws<ArgumentException>(() => BpeTrainer.Train(Corpus, new BpeTrainerOptions
        {
            VocabularySize = size,
            SpecialTokens = ["<|bos|>", "<|eos|>"],
            BosToken = bos,
        }));
}
