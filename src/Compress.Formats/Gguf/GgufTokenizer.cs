using System.Collections.Frozen;
using System.Text.Json;
using Compress.Formats.Tokenizers;
using Compress.Formats.Tokenizers.HuggingFace;
using Compress.Formats.Tokenizers.SentencePiece;

namespace Compress.Formats.Gguf;

/// <summary>The tokenizer that a GGUF file carries in its metadata (ggml, <c>docs/gguf.md</c>, "Tokenizer").</summary>
/// <remarks>
/// <c>llama</c> is a SentencePiece byte-pair model: control tokens written in a text are ordinary text. <c>gpt2</c> is a byte-level one;
/// it is read as the <c>tokenizer.json</c> that says the same, so that control tokens in a text are recognised.
/// </remarks>
public static class GgufTokenizer
{
    private const int Control = 3, UserDefined = 4;

    /// <summary>Tokens that end a text or a turn: control tokens whatever kind a file gives them, as llama.cpp takes them.</summary>
    private static readonly FrozenSet<string> Ends = FrozenSet.Create(
        StringComparer.Ordinal,
        "</s>", "<eos>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>");

    /// <summary>Reads a file's tokenizer.</summary>
    /// <param name="file">The file.</param>
    /// <param name="path">Its path, for messages.</param>
    /// <exception cref="ModelFileException">There is none, it is of a kind that is not read, or damaged.</exception>
    public static Tokenizer Read(GgufFile file, string path)
    {
        var keys = new Keys(file.Metadata, path);
        try
        {
            return keys.Text("tokenizer.ggml.model") switch
            {
                "llama" => new SentencePieceTokenizer(path, SentencePiece(keys), new SequenceSettings(
                    keys.Flag("tokenizer.ggml.add_bos_token"), keys.Flag("tokenizer.ggml.add_eos_token"))),
                "gpt2" => TokenizerJson.Read(path, Json(keys), new SpecialNames(keys.Token("bos"), keys.Token("eos"))),
                null => throw new ModelFileException(path, "it carries no tokenizer.", "Give token ids, or use the model's Hugging Face folder."),
                var other => throw new ModelFileException(path, $"its tokenizer is of the kind \"{Suggestion.Shorten(other)}\"; llama and gpt2 are read."),
            };
        }
        catch (FormatException e)
        {
            throw new ModelFileException(path, $"its tokenizer is damaged: {e.Message}.", inner: e);
        }
    }

    private static SentencePieceModel SentencePiece(Keys keys)
    {
        var tokens = keys.Tokens;
        var scores = keys.Array<float>("tokenizer.ggml.scores", tokens.Length) ?? new float[tokens.Length];
        var kinds = keys.Array<int>("tokenizer.ggml.token_type", tokens.Length);
        var unknown = keys.Id("unknown") ?? Math.Max(0, Array.IndexOf(kinds ?? [], (int)PieceKind.Unknown));
        var pieces = tokens.Select((text, i) => new ModelPiece(text, scores[i], Kind(i)));
        return SentencePieceModel.OfPieces(
            pieces, SegmentationKind.Bpe, keys.Token("bos"), keys.Token("eos"), keys.Flag("tokenizer.ggml.add_space_prefix") ?? true);

        // Some files mark no token, or several, as the unknown one and name it apart, or mark the end of a sequence as text.
        PieceKind Kind(int i) => i == unknown ? PieceKind.Unknown
            : kinds is null ? PieceKind.Normal
            : (PieceKind)kinds[i] is var kind && (kind == PieceKind.Unknown || Ends.Contains(tokens[i])) ? PieceKind.Control : kind;
    }

    private static byte[] Json(Keys keys)
    {
        var tokens = keys.Tokens;
        var kinds = keys.Array<int>("tokenizer.ggml.token_type", tokens.Length) ?? new int[tokens.Length];
        var pre = keys.Text("tokenizer.ggml.pre") ?? "default";
        if (!GgufWordPatterns.TryFind(pre, out var patterns))
        {
            throw keys.Wrong($"its tokenizer cuts words in the way \"{Suggestion.Shorten(pre)}\" (tokenizer.ggml.pre), which is not known.",
                $"Known are {string.Join(", ", GgufWordPatterns.Names)}; use the model's Hugging Face folder.");
        }
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            WriteAdded(json, tokens, kinds);
            WriteWords(json, patterns);
            WriteEnds(json, keys, pre);
            json.WriteStartObject("decoder");
            json.WriteString("type", "ByteLevel");
            json.WriteEndObject();
            WriteModel(json, tokens, keys.Array<string>("tokenizer.ggml.merges", null) ?? [], pre);
            json.WriteEndObject();
        }
        return stream.ToArray();
    }

    private static void WriteAdded(Utf8JsonWriter json, string[] tokens, int[] kinds)
    {
        json.WriteStartArray("added_tokens");
        for (var id = 0; id < tokens.Length; id++)
        {
            if (kinds[id] is not (Control or UserDefined) || tokens[id].Length == 0) continue;
            json.WriteStartObject();
            json.WriteNumber("id", id);
            json.WriteString("content", tokens[id]);
            json.WriteBoolean("special", kinds[id] == Control);
            foreach (var flag in (ReadOnlySpan<string>)["single_word", "lstrip", "rstrip", "normalized"]) json.WriteBoolean(flag, false);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void WriteWords(Utf8JsonWriter json, IReadOnlyList<string> patterns)
    {
        json.WriteStartObject("pre_tokenizer");
        json.WriteString("type", "Sequence");
        json.WriteStartArray("pretokenizers");
        foreach (var pattern in patterns)
        {
            json.WriteStartObject();
            json.WriteString("type", "Split");
            json.WriteStartObject("pattern");
            json.WriteString("Regex", pattern);
            json.WriteEndObject();
            json.WriteString("behavior", "Isolated");
            json.WriteBoolean("invert", false);
            json.WriteEndObject();
        }
        json.WriteStartObject();
        json.WriteString("type", "ByteLevel");
        json.WriteBoolean("add_prefix_space", false);
        json.WriteBoolean("use_regex", false);
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteEnds(Utf8JsonWriter json, Keys keys, string pre)
    {
        var before = keys.Flag("tokenizer.ggml.add_bos_token") ?? pre is "llama-bpe" or "llama3" ? keys.Id("bos") : null;
        var after = keys.Flag("tokenizer.ggml.add_eos_token") == true ? keys.Id("eos") : null;
        json.WriteStartObject("post_processor");
        json.WriteString("type", "TemplateProcessing");
        json.WriteStartArray("single");
        WriteSpecial(json, before);
        json.WriteStartObject();
        json.WriteStartObject("Sequence");
        json.WriteString("id", "A");
        json.WriteNumber("type_id", 0);
        json.WriteEndObject();
        json.WriteEndObject();
        WriteSpecial(json, after);
        json.WriteEndArray();
        json.WriteStartObject("special_tokens");
        foreach (var id in new[] { before, after }.OfType<int>().Distinct())
        {
            json.WriteStartObject($"{id}");
            json.WriteStartArray("ids");
            json.WriteNumberValue(id);
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteSpecial(Utf8JsonWriter json, int? id)
    {
        if (id is null) return;
        json.WriteStartObject();
        json.WriteStartObject("SpecialToken");
        json.WriteString("id", $"{id}");
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteModel(Utf8JsonWriter json, string[] tokens, string[] merges, string pre)
    {
        json.WriteStartObject("model");
        json.WriteString("type", "BPE");
        json.WriteBoolean("ignore_merges", pre is "llama-bpe" or "llama3");
        json.WriteStartObject("vocab");
        var seen = new HashSet<string>(StringComparer.Ordinal);
        // Files may pad the vocabulary with the same text again; the first one counts.
        for (var id = 0; id < tokens.Length; id++)
        {
            if (seen.Add(tokens[id])) json.WriteNumber(tokens[id], id);
        }
        json.WriteEndObject();
        json.WriteStartArray("merges");
        foreach (var merge in merges) json.WriteStringValue(merge);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>Metadata with their types checked.</summary>
    private sealed class Keys(IReadOnlyDictionary<string, object> metadata, string path)
    {
        public string[] Tokens => Array<string>("tokenizer.ggml.tokens", null) ?? throw Wrong("it has no tokenizer.ggml.tokens.", null);

        public string? Text(string key) => Find(key) switch
        {
            null => null,
            string text => text,
            _ => throw Wrong($"metadata {key} is not a text.", null),
        };

        public bool? Flag(string key) => Find(key) switch
        {
            null => null,
            bool flag => flag,
            _ => throw Wrong($"metadata {key} is not true or false.", null),
        };

        /// <summary>The id of the token that begins (<c>bos</c>) or ends (<c>eos</c>) a sequence.</summary>
        public int? Id(string which) => Find($"tokenizer.ggml.{which}_token_id") switch
        {
            null => null,
            uint id when id < Tokens.Length => (int)id,
            var other => throw Wrong($"metadata tokenizer.ggml.{which}_token_id is {other}, not one of the {Tokens.Length} tokens.", null),
        };

        public string? Token(string which) => Id(which) is { } id ? Tokens[id] : null;

        public T[]? Array<T>(string key, int? length) => Find(key) switch
        {
            null => null,
            T[] values when length is null || values.Length == length => values,
            T[] values => throw Wrong($"metadata {key} has {values.Length} entries; there are {length} tokens.", null),
            _ => throw Wrong($"metadata {key} is not a list of {typeof(T).Name}.", null),
        };

        public ModelFileException Wrong(string problem, string? remedy) => new(path, problem, remedy);

        private object? Find(string key) => metadata.GetValueOrDefault(key);
    }
}
