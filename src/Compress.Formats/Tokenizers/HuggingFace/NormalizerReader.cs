using System.Text;

namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>Reads the <c>normalizer</c> of a <c>tokenizer.json</c>.</summary>
static class NormalizerReader
{
    internal static Normalizer Read(JsonNode node) => node.Type switch
    {
        "Sequence" => new Normalizer.Sequence([.. node.Required("normalizers").Steps().Select(Read)]),
        "NFC" => new Normalizer.Unicode(NormalizationForm.FormC),
        "NFD" => new Normalizer.Unicode(NormalizationForm.FormD),
        "NFKC" => new Normalizer.Unicode(NormalizationForm.FormKC),
        "NFKD" => new Normalizer.Unicode(NormalizationForm.FormKD),
        "Lowercase" => new Normalizer.Whole(Normalizer.Lowercase),
        "StripAccents" => new Normalizer.Whole(text => Normalizer.Keep(text, r => !Normalizer.IsMark(r))),
        "Nmt" => new Normalizer.Whole(Normalizer.Nmt),
        "ByteLevel" => new Normalizer.Whole(text => ByteAlphabet.Encode(text)),
        "Strip" => new Normalizer.Strip(node.Boolean("strip_left", true), node.Boolean("strip_right", true)),
        "Prepend" => new Normalizer.Prepend(node.Required("prepend").AsString()),
        "Replace" => new Normalizer.Replace(FinderReader.Read(node.Required("pattern")), node.Required("content").AsString()),
        "Precompiled" => ReadPrecompiled(node.Required("precompiled_charsmap")),
        "BertNormalizer" => ReadBert(node),
        var type => throw node.Wrong($"the normalizer '{type}' is not supported."),
    };

    static BertNormalizer ReadBert(JsonNode node)
    {
        var lowercase = node.Boolean("lowercase", true);
        return new BertNormalizer(node.Boolean("clean_text", true), node.Boolean("handle_chinese_chars", true),
            node.Boolean("strip_accents", lowercase), lowercase);
    }

    static Normalizer.Precompiled ReadPrecompiled(JsonNode node)
    {
        var text = node.AsString();
        var bytes = new byte[text.Length / 4 * 3 + 3];
        if (!Convert.TryFromBase64String(text, bytes, out var length)) throw node.Wrong("is not Base64.");
        return new Normalizer.Precompiled(new PrecompiledCharsMap(bytes.AsSpan(0, length)));
    }
}
