using System.Text.Json;
using Compress.Formats.Checkpoints;
using Compress.Formats.Tokenizers;
using Compress.Formats.Tokenizers.HuggingFace;
using Compress.Formats.Tokenizers.SentencePiece;

namespace Compress.Formats.Gguf;

/// <summary>A model's tokenizer as GGUF metadata: byte-level BPE of a <c>tokenizer.json</c>, or a SentencePiece model.</summary>
internal static class GgufTokenizerKeys
{
    private const int Normal = 1, Control = 3, UserDefined = 4, Unused = 5;

    /// <summary>The metadata.</summary>
    /// <exception cref="ModelFileException">The tokenizer is of a kind that GGUF does not hold.</exception>
    public static IEnumerable<KeyValuePair<string, object>> Of(ModelFolder model)
    {
        var tokenizer = model.LoadTokenizer();
        var file = Path.Combine(model.Path, "tokenizer.model");
        var keys = new List<KeyValuePair<string, object>>();
        if (File.Exists(file)) AddSentencePiece(keys, SentencePieceModel.Parse(TokenizerLoader.ReadBytes(file)), model.Spec.VocabularySize);
        else AddByteLevel(keys, Path.Combine(model.Path, "tokenizer.json"), tokenizer, model.Spec.VocabularySize);
        var around = tokenizer.Encode("");
        if (tokenizer.BosId is { } bos)
        {
            keys.Add(new("tokenizer.ggml.bos_token_id", (uint)bos));
            keys.Add(new("tokenizer.ggml.add_bos_token", around.Length > 0 && around[0] == bos));
        }
        if (tokenizer.EosId is { } eos)
        {
            keys.Add(new("tokenizer.ggml.eos_token_id", (uint)eos));
            keys.Add(new("tokenizer.ggml.add_eos_token", around.Length > 1 && around[^1] == eos));
        }
        return keys;
    }

    private static void AddSentencePiece(List<KeyValuePair<string, object>> keys, SentencePieceModel model, int size)
    {
        var pieces = model.Pieces.Concat(Enumerable.Range(model.Pieces.Count, Math.Max(0, size - model.Pieces.Count))
            .Select(i => new ModelPiece(Padding(i), 0, PieceKind.Unused))).ToList();
        keys.Add(new("tokenizer.ggml.model", "llama"));
        keys.Add(new("tokenizer.ggml.pre", "default"));
        keys.Add(new("tokenizer.ggml.tokens", pieces.Select(p => p.Text).ToArray()));
        keys.Add(new("tokenizer.ggml.scores", pieces.Select(p => p.Score).ToArray()));
        keys.Add(new("tokenizer.ggml.token_type", pieces.Select(p => (int)p.Kind).ToArray()));
        keys.Add(new("tokenizer.ggml.unknown_token_id", (uint)pieces.FindIndex(p => p.Kind == PieceKind.Unknown)));
        keys.Add(new("tokenizer.ggml.add_space_prefix", model.AddDummyPrefix));
    }

    private static void AddByteLevel(List<KeyValuePair<string, object>> keys, string file, Tokenizer tokenizer, int size)
    {
        if (!File.Exists(file))
            throw new ModelFileException(file, "is missing; GGUF holds byte-level tokenizers (tokenizer.json) and SentencePiece ones (tokenizer.model).");
        using var document = JsonNode.Parse(file, TokenizerLoader.ReadBytes(file));
        var root = new JsonNode(file, "$", document.RootElement);
        var model = root.Required("model");
        var added = root.Optional("added_tokens") is { } list ? list.Items().Select(t => AddedToken.Read(t)).ToList() : [];
        var kinds = added.ToDictionary(t => t.Id, t => t.Special ? Control : UserDefined);
        var tokens = Enumerable.Range(0, Math.Max(size, tokenizer.VocabularySize)).Select(id => tokenizer.TokenOf(id)).ToArray();
        keys.Add(new("tokenizer.ggml.model", "gpt2"));
        keys.Add(new("tokenizer.ggml.pre", WordPatterns(root)));
        keys.Add(new("tokenizer.ggml.tokens", tokens.Select((t, id) => t ?? Padding(id)).ToArray()));
        keys.Add(new("tokenizer.ggml.token_type", tokens.Select((t, id) => t is null ? Unused : kinds.GetValueOrDefault(id, Normal)).ToArray()));
        keys.Add(new("tokenizer.ggml.merges", model.Required("merges").Items().Select(Merge).ToArray()));
    }

    private static string Merge(JsonNode node) =>
        node.Element.ValueKind == JsonValueKind.String ? node.AsString() : string.Join(' ', node.Items().Select(i => i.AsString()));

    private static string WordPatterns(JsonNode root)
    {
        var patterns = new List<string>();
        if (root.Optional("pre_tokenizer") is { } node) Collect(node, patterns);
        return GgufWordPatterns.NameOf(patterns) ?? throw root.Wrong(
            $"the way it cuts words ({string.Join(" then ", patterns.Select(p => Suggestion.Shorten(p)))}) has no name in GGUF.");
    }

    private static void Collect(JsonNode node, List<string> patterns)
    {
        switch (node.Type)
        {
            case "Sequence":
                foreach (var step in node.Required("pretokenizers").Steps()) Collect(step, patterns);
                break;
            case "Split" when node.Required("pattern").Optional("Regex") is { } regex:
                patterns.Add(regex.AsString());
                break;
            case "Digits" when node.Boolean("individual_digits", false):
                patterns.Add(@"\p{N}");
                break;
            case "ByteLevel":
                if (node.Boolean("use_regex", true)) patterns.Add(PublishedPatterns.Gpt2);
                break;
            default:
                patterns.Add(node.Type);
                break;
        }
    }

    private static string Padding(int id) => $"[PAD{id}]";
}
