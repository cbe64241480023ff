namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>Where a Metaspace puts its character before a piece that does not begin with it.</summary>
enum PrependScheme
{
    /// <summary>Before every piece.</summary>
    Always,

    /// <summary>Before the piece that begins the text.</summary>
    First,

    /// <summary>Nowhere.</summary>
    Never,
}

/// <summary>Reads the scheme, in its present and in its older spelling.</summary>
static class MetaspaceScheme
{
    internal static PrependScheme Read(JsonNode node)
    {
        if (node.Optional("prepend_scheme") is { } scheme)
        {
            return scheme.AsString() switch
            {
                "always" => PrependScheme.Always,
                "first" => PrependScheme.First,
                "never" => PrependScheme.Never,
                var other => throw scheme.Wrong($"'{other}' is not a prepend scheme."),
            };
        }
        return node.Boolean("add_prefix_space", true) ? PrependScheme.Always : PrependScheme.Never;
    }
}
