namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>Reads the <c>decoder</c> of a <c>tokenizer.json</c>.</summary>
static class DecoderReader
{
    internal static Decoder Read(JsonNode node) => node.Type switch
    {
        "Sequence" => new Decoder.Sequence([.. node.Required("decoders").Items().Select(Read)]),
        "ByteLevel" => new Decoder.ByteLevel(),
        var type => throw node.Wrong($"the decoder '{type}' is not supported."),
    };
}
