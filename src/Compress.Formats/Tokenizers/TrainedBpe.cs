using System.Text.Encodings.Web;
using System.Text.Json;
using Compress.Formats.Tokenizers.HuggingFace;

namespace Compress.Formats.Tokenizers;

/// <summary>A byte-level BPE tokenizer that <see cref="BpeTrainer"/> made, to be saved as Hugging Face files.</summary>
public sealed class TrainedBpe
{
    const string TokenizerFile = "tokenizer.json";
    const string ConfigurationFile = "tokenizer_config.json";
    readonly BpeTrainerOptions options;
    readonly List<string> tokens;
    readonly List<(int Left, int Right)> merges;

    internal TrainedBpe(BpeTrainerOptions options, List<string> tokens, List<(int Left, int Right)> merges) =>
        (this.options, this.tokens, this.merges) = (options, tokens, merges);

    /// <summary>The tokens by id: special tokens, bytes as GPT-2's printable characters, merged tokens.</summary>
    public IReadOnlyList<string> Tokens => tokens;

    /// <summary>The merges in order of rank, as pairs of ids.</summary>
    public IReadOnlyList<(int Left, int Right)> Merges => merges;

    /// <summary>The tokenizer, ready for use.</summary>
    public Tokenizer ToTokenizer() =>
        TokenizerJson.Read(TokenizerFile, TokenizerJsonBytes(), new SpecialNames(options.BosToken, options.EosToken));

    /// <summary>Writes <c>tokenizer.json</c> and <c>tokenizer_config.json</c>, each whole or not at all.</summary>
    /// <param name="folder">The folder; it is created where it does not exist.</param>
    /// <exception cref="IOException">The files cannot be written.</exception>
    public void Save(string folder)
    {
        Directory.CreateDirectory(folder);
        Write(Path.Combine(folder, TokenizerFile), TokenizerJsonBytes());
        Write(Path.Combine(folder, ConfigurationFile), ConfigurationBytes());
    }

    static void Write(string file, byte[] bytes)
    {
        var temporary = file + ".partial";
        File.WriteAllBytes(temporary, bytes);
        File.Move(temporary, file, overwrite: true);
    }

    static byte[] Json(Action<Utf8JsonWriter> write)
    {
        using var stream = new MemoryStream();
        var style = new JsonWriterOptions { Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        using (var json = new Utf8JsonWriter(stream, style))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }
        stream.WriteByte((byte)'\n');
        return stream.ToArray();
    }

    byte[] ConfigurationBytes() => Json(json =>
    {
        json.WriteString("tokenizer_class", "PreTrainedTokenizerFast");
        if (options.BosToken is { } bos) json.WriteString("bos_token", bos);
        if (options.EosToken is { } eos) json.WriteString("eos_token", eos);
        json.WriteBoolean("clean_up_tokenization_spaces", false);
    });

    byte[] TokenizerJsonBytes() => Json(json =>
    {
        json.WriteString("version", "1.0");
        json.WriteNull("truncation");
        json.WriteNull("padding");
        WriteAddedTokens(json);
        json.WriteNull("normalizer");
        WritePreTokenizer(json);
        WritePostProcessor(json);
        json.WriteStartObject("decoder");
        WriteByteLevel(json);
        json.WriteEndObject();
        WriteModel(json);
    });

    void WriteAddedTokens(Utf8JsonWriter json)
    {
        json.WriteStartArray("added_tokens");
        for (var id = 0; id < options.SpecialTokens.Count; id++)
        {
            json.WriteStartObject();
            json.WriteNumber("id", id);
            json.WriteString("content", options.SpecialTokens[id]);
            foreach (var no in new[] { "single_word", "lstrip", "rstrip", "normalized" }) json.WriteBoolean(no, false);
            json.WriteBoolean("special", true);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    static void WritePreTokenizer(Utf8JsonWriter json)
    {
        json.WriteStartObject("pre_tokenizer");
        json.WriteString("type", "Sequence");
        json.WriteStartArray("pretokenizers");
        json.WriteStartObject();
        json.WriteString("type", "Split");
        json.WriteStartObject("pattern");
        json.WriteString("Regex", PublishedPatterns.Llama3);
        json.WriteEndObject();
        json.WriteString("behavior", "Isolated");
        json.WriteBoolean("invert", false);
        json.WriteEndObject();
        json.WriteStartObject();
        WriteByteLevel(json);
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
    }

    static void WriteByteLevel(Utf8JsonWriter json)
    {
        json.WriteString("type", "ByteLevel");
        json.WriteBoolean("add_prefix_space", false);
        json.WriteBoolean("trim_offsets", true);
        json.WriteBoolean("use_regex", false);
    }

    void WritePostProcessor(Utf8JsonWriter json)
    {
        var before = options.PrependBos ? options.BosToken : null;
        var after = options.AppendEos ? options.EosToken : null;
        if (before is null && after is null)
        {
            json.WriteNull("post_processor");
            return;
        }
        json.WriteStartObject("post_processor");
        json.WriteString("type", "TemplateProcessing");
        json.WriteStartArray("single");
        WriteTemplate(json, before, "A", after, 0);
        json.WriteEndArray();
        json.WriteStartArray("pair");
        WriteTemplate(json, before, "A", after, 0);
        WriteTemplate(json, before, "B", after, 1);
        json.WriteEndArray();
        json.WriteStartObject("special_tokens");
        foreach (var token in new[] { before, after }.OfType<string>().Distinct())
        {
            json.WriteStartObject(token);
            json.WriteString("id", token);
            json.WriteStartArray("ids");
            json.WriteNumberValue(tokens.IndexOf(token));
            json.WriteEndArray();
            json.WriteStartArray("tokens");
            json.WriteStringValue(token);
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }

    static void WriteTemplate(Utf8JsonWriter json, string? before, string sequence, string? after, int type)
    {
        if (before is not null) WriteTemplateItem(json, "SpecialToken", before, type);
        WriteTemplateItem(json, "Sequence", sequence, type);
        if (after is not null) WriteTemplateItem(json, "SpecialToken", after, type);
    }

    static void WriteTemplateItem(Utf8JsonWriter json, string kind, string id, int type)
    {
        json.WriteStartObject();
        json.WriteStartObject(kind);
        json.WriteString("id", id);
        json.WriteNumber("type_id", type);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    void WriteModel(Utf8JsonWriter json)
    {
        json.WriteStartObject("model");
        json.WriteString("type", "BPE");
        foreach (var none in new[] { "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix" }) json.WriteNull(none);
        foreach (var no in new[] { "fuse_unk", "byte_fallback", "ignore_merges" }) json.WriteBoolean(no, false);
        json.WriteStartObject("vocab");
        for (var id = 0; id < tokens.Count; id++) json.WriteNumber(tokens[id], id);
        json.WriteEndObject();
        json.WriteStartArray("merges");
        foreach (var (left, right) in merges)
        {
            json.WriteStartArray();
            json.WriteStringValue(tokens[left]);
            json.WriteStringValue(tokens[right]);
            json.WriteEndArray();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
