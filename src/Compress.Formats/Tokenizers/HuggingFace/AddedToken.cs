namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>A token that is found in the text before anything else happens to it.</summary>
/// <param name="Id">The id.</param>
/// <param name="Content">The text that it stands for.</param>
/// <param name="SingleWord">Whether it must stand between characters that are not word characters.</param>
/// <param name="LeftStrip">Whether it takes the white space before it.</param>
/// <param name="RightStrip">Whether it takes the white space after it.</param>
/// <param name="Normalized">Whether it is looked for in the normalized text.</param>
/// <param name="Special">Whether decoding leaves it out.</param>
sealed record AddedToken(int Id, string Content, bool SingleWord, bool LeftStrip, bool RightStrip, bool Normalized, bool Special)
{
    /// <summary>Reads one entry of <c>added_tokens</c>.</summary>
    internal static AddedToken Read(JsonNode node) => Read(node, node.Required("id").AsId());

    /// <summary>Reads an entry whose id stands elsewhere.</summary>
    internal static AddedToken Read(JsonNode node, int id)
    {
        var special = node.Boolean("special", false);
        return new AddedToken(id, node.Required("content").AsString(), node.Boolean("single_word", false),
            node.Boolean("lstrip", false), node.Boolean("rstrip", false), node.Boolean("normalized", !special), special);
    }
}
