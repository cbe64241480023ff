using System.IO.Compression;
using System.Text;
using Compress.Formats.Datasets;
using Compress.Testing;
using Parquet;
using Parquet.Serialization;

namespace Compress.Formats.Tests.Datasets;

public sealed class TextDatasetTests : IDisposable
{
    readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_text_file_is_one_document_as_it_is()
    {
        Assert.Equal(["\n é \r\n\r\nb\n"], Read("a.txt", "\uFEFF\n é \r\n\r\nb\n"));
        Assert.Empty(Read("empty.txt", ""));
    }

    [Fact]
    public void Separators_cut_text_into_documents()
    {
        const string Text = "one\ntwo\n\n \nthree\r\n\r\nfour";
        Assert.Equal(["one\ntwo", "three", "four"], Read("a.txt", Text, new TextDatasetOptions { Separator = "" }));
        Assert.Equal(["a\nb", "c"],
            Read("b.txt", "<|end|>\na\nb\n<|end|>\r\nc\n<|end|>\n", new TextDatasetOptions { Separator = "<|end|>" }));
    }

    [SharedDataFact]
    public void A_real_text_separates_into_its_stories()
    {
        var path = SharedData.At("text", "tinystories", "train_0.txt");
        var stories = TextDataset.Open(path, new TextDatasetOptions { Separator = "<|endoftext|>" }).ToList();
        Assert.Equal(4948, stories.Count);
        Assert.Equal(File.ReadAllText(path), TextDataset.Open(path).Single());
        Assert.DoesNotContain(stories, s => s.Contains("<|endoftext|>", StringComparison.Ordinal));
    }

    [SharedDataFact]
    public void A_real_gzipped_json_lines_file_reads_by_field()
    {
        var path = SharedData.At("eval", "blimp", "adjunct_island.jsonl.gz");
        var sentences = TextDataset.Open(path, new TextDatasetOptions { Field = "sentence_good" }).ToList();
        Assert.Equal(1000, sentences.Count);
        Assert.Equal("Who should Derek hug after shocking Richard?", sentences[0]);
        var e = Assert.Throws<ModelFileException>(() => TextDataset.Open(path).Count());
        Assert.Contains("sentence_bad", e.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void Json_lines_give_text_or_rendered_messages()
    {
        const string Lines = """
            {"text":"a\nb"}

            {"text":""}
            {"text":null}
            {"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"text","text":"Hel"},{"text":"lo"},{"type":"x"}]}]}
            {"messages":[{"role":"tool","content":null}]}
            {"conversations":[{"from":"human","value":"x"},{"from":"gpt","value":"y"}],"id":1}
            """;
        Assert.Equal(["a\nb", "", "user: Hi\n\nassistant: Hello", "tool: ", "human: x\n\ngpt: y"], Read("a.jsonl", Lines));
        Assert.Equal(["q"], Read("b.jsonl", """{"body":"q","text":"t"}""" + "\r\n", new TextDatasetOptions { Field = "body" }));
    }

    [Theory]
    [InlineData("{\"text\":\"a\"}\n{\"text\":1}\n", "line 2", "neither text")]
    [InlineData("\n{\"txt\":\"a\"}\n", "line 2", "It has txt")]
    [InlineData("{}", "line 1", "empty")]
    [InlineData("[1,2]", "line 1", "not a JSON object")]
    [InlineData("{\"text\":\"a\"", "line 1", "not valid JSON")]
    [InlineData("{\"text\":\"\\ud800\"}", "line 1", "Unicode")]
    [InlineData("{\"messages\":[1]}", "line 1", "role")]
    [InlineData("{\"messages\":[{\"role\":\"user\"}]}", "line 1", "role")]
    [InlineData("{\"messages\":[{\"role\":\"user\",\"content\":1}]}", "line 1", "content")]
    public void Wrong_lines_are_named(string content, string line, string problem)
    {
        var e = Assert.Throws<ModelFileException>(() => Read("a.jsonl", content));
        Assert.Contains(line, e.Message, StringComparison.Ordinal);
        Assert.Contains(problem, e.Message, StringComparison.Ordinal);
        Assert.Equal(folder.At("a.jsonl"), e.File);
    }

    [Fact]
    public void Long_lines_and_wrong_encodings_are_refused_before_they_fill_memory()
    {
        var small = new TextDatasetOptions { MaximumLength = 1000 };
        Assert.Equal([new string('x', 1000)], Read("a.txt", new string('x', 1000), small));
        Assert.Contains("longer than 1000", Assert.Throws<ModelFileException>(() => Read("a.txt", new string('x', 1001), small)).Message,
            StringComparison.Ordinal);
        Assert.Contains("line 101", Assert.Throws<ModelFileException>(() =>
            Read("b.txt", string.Concat(Enumerable.Repeat("123456789\n", 200)), small)).Message,
            StringComparison.Ordinal);
        Assert.Throws<ModelFileException>(() => Read("a.jsonl", "{\"text\":\"" + new string('x', 1001) + "\"}", small));
        folder.Write("latin.txt", [0x61, 0xE9, 0x62, 0x0A]);
        Assert.Contains("UTF-8", Assert.Throws<ModelFileException>(() =>
            TextDataset.Open(folder.At("latin.txt")).Count()).Message, StringComparison.Ordinal);

        // 64 MiB of one character, compressed to a few hundred KiB.
        using (var gzip = new GZipStream(File.Create(folder.At("bomb.txt.gz")), CompressionLevel.Fastest))
        {
            var block = new byte[1 << 20];
            for (var i = 0; i < 64; i++) gzip.Write(block);
        }
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<ModelFileException>(() => TextDataset.Open(folder.At("bomb.txt.gz"), small).Count());
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4 << 20);
        var gz = File.ReadAllBytes(folder.At("bomb.txt.gz"));
        folder.Write("cut.txt.gz", gz[..(gz.Length / 2)]);
        Assert.Contains("ends too early", Assert.Throws<ModelFileException>(() =>
            TextDataset.Open(folder.At("cut.txt.gz")).Count()).Message,
            StringComparison.Ordinal);
        folder.Write("broken.jsonl.gz", [0x1F, 0x8B, 8, 0, 1, 2, 3]);
        Assert.Throws<ModelFileException>(() => TextDataset.Open(folder.At("broken.jsonl.gz")).Count());
    }

    [Fact]
    public void Lines_longer_than_the_buffer_and_across_its_end_are_whole()
    {
        var random = new Random(4);
        var texts = Enumerable.Range(0, 200).Select(i => new string((char)('a' + i % 26), random.Next(3000)) + "é😀").ToList();
        texts[100] = new string('z', 200_000);
        Assert.Equal(texts, Read("a.jsonl", string.Join("\n", texts.Select(t => $"{{\"text\":\"{t}\"}}"))));
    }

    [Fact]
    public async Task Parquet_columns_are_read_by_row_group()
    {
        var rows = Enumerable.Range(0, 250).Select(i => new Row { text = i % 7 == 3 ? null : $"row {i} é", other = $"o{i}", number = i });
        await using (var stream = File.Create(folder.At("a.parquet")))
        {
            await ParquetSerializer.SerializeAsync(rows, stream, new ParquetOptions { RowGroupSize = 100 });
        }
        await using (var reader = await ParquetReader.CreateAsync(folder.At("a.parquet"))) Assert.Equal(3, reader.RowGroupCount);
        Assert.Equal(Enumerable.Range(0, 250).Where(i => i % 7 != 3).Select(i => $"row {i} é"), TextDataset.Open(folder.At("a.parquet")));
        Assert.Equal(250, TextDataset.Open(folder.At("a.parquet"), new TextDatasetOptions { Field = "other" }).Count());
        var e = Assert.Throws<ModelFileException>(() =>
            TextDataset.Open(folder.At("a.parquet"), new TextDatasetOptions { Field = "number" }).Count());
        Assert.Contains("text, other", e.Remedy, StringComparison.Ordinal);
        Assert.Throws<ModelFileException>(() =>
            TextDataset.Open(folder.At("a.parquet"), new TextDatasetOptions { MaximumLength = 5 }).Count());
    }

    [Fact]
    public async Task Damaged_parquet_files_are_file_errors()
    {
        await using (var stream = File.Create(folder.At("a.parquet")))
        {
            await ParquetSerializer.SerializeAsync(Enumerable.Range(0, 20).Select(i => new Row { text = $"row {i}", other = "o" }), stream);
        }
        var whole = File.ReadAllBytes(folder.At("a.parquet"));
        var random = new Random(2);
        var refused = 0;
        for (var round = 0; round < 400; round++)
        {
            var bytes = (byte[])whole.Clone();
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            folder.Write("b.parquet", round % 3 == 0 ? bytes[..random.Next(bytes.Length)] : bytes);
            try
            {
                _ = TextDataset.Open(folder.At("b.parquet")).Count();
            }
            catch (ModelFileException)
            {
                refused++;
            }
        }
        Assert.InRange(refused, 150, 399);
    }

    [Theory]
    [InlineData(0x1C, "field 1")]
    [InlineData(0xFC, "nested too deeply")]
    [InlineData(0xF9, "nested too deeply")]
    public void Parquet_metadata_cannot_overflow_the_stack(int first, string problem)
    {
        // A field of structs in structs, or of lists in lists (0x19 is a list of one list), a hundred thousand deep.
        byte[] footer = [(byte)first, .. Enumerable.Repeat((byte)(first == 0xF9 ? 0x19 : 0x1C), 100_000)];
        folder.Write("a.parquet", [.. "PAR1"u8, .. footer, .. BitConverter.GetBytes(footer.Length), .. "PAR1"u8]);
        var e = Assert.Throws<ModelFileException>(() => TextDataset.Open(folder.At("a.parquet")).Count());
        Assert.Contains(problem, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Folders_give_all_their_files_and_unknown_types_are_named()
    {
        folder.Write("d/2.jsonl", """{"text":"c"}""");
        folder.Write("d/1.txt", "a");
        folder.Write("d/readme.pdf", "b");
        Assert.Equal(["a", "c"], TextDataset.Open(folder.At("d")));
        Assert.Contains(".pdf", Assert.Throws<ModelFileException>(() =>
            TextDataset.Open(folder.At("d", "readme.pdf"))).Message, StringComparison.Ordinal);
        Assert.Throws<ModelFileException>(() => TextDataset.Open(folder.At("none.txt")));
        Directory.CreateDirectory(folder.At("empty"));
        Assert.Throws<ModelFileException>(() => TextDataset.Open(folder.At("empty")));
    }

    List<string> Read(string name, string content, TextDatasetOptions? options = null) =>
        [.. TextDataset.Open(folder.Write(name, Encoding.UTF8.GetBytes(content)), options)];

    internal sealed class Row
    {
        public string? text { get; set; }

        public string? other { get; set; }

        public int number { get; set; }
    }
}
