using Compress.Formats.Tokenizers.HuggingFace;

namespace Compress.Formats.Tokenizers.SentencePiece;

/// <summary>What a <c>tokenizer_config.json</c> beside a model says about the ends of a sequence; null where it says nothing.</summary>
sealed record SequenceSettings(bool? AddBos, bool? AddEos)
{
    internal static SequenceSettings Read(string modelFile)
    {
        var file = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(modelFile))!, "tokenizer_config.json");
        if (!File.Exists(file)) return new SequenceSettings(null, null);
        using var document = JsonNode.Parse(file, TokenizerLoader.ReadBytes(file));
        var root = new JsonNode(file, "$", document.RootElement);
        return new SequenceSettings(root.Optional("add_bos_token")?.AsBoolean(), root.Optional("add_eos_token")?.AsBoolean());
    }
}
