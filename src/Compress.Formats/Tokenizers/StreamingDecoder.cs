namespace Compress.Formats.Tokenizers;

/// <summary>Decodes ids one at a time, giving text as soon as it can no longer change (for generation on a screen).</summary>
/// <remarks>
/// A character may be spread over several tokens and a decoder may treat the first token specially, so the text of a short window
/// of recent ids is decoded twice, without and with the new id, and their difference is given out. While the text ends in U+FFFD
/// it is held back: the bytes that complete the character may follow. Not safe for use from several threads.
/// </remarks>
public sealed class StreamingDecoder
{
    // UTF-8 characters have at most four bytes: what is still incomplete after eight ids is not a character.
    const int LongestHeld = 8;
    readonly Tokenizer tokenizer;
    readonly bool skipSpecialTokens;
    readonly List<int> window = [];
    int given;

    /// <summary>Begins a stream.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="skipSpecialTokens">Whether special tokens give nothing.</param>
    public StreamingDecoder(Tokenizer tokenizer, bool skipSpecialTokens = true) =>
        (this.tokenizer, this.skipSpecialTokens) = (tokenizer, skipSpecialTokens);

    /// <summary>Takes the next id.</summary>
    /// <param name="id">The token id.</param>
    /// <returns>The text that is now certain; often one word, empty while a character is incomplete.</returns>
    public string Append(int id)
    {
        window.Add(id);
        var ids = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(window);
        var before = tokenizer.Decode(ids[..given], skipSpecialTokens);
        var after = tokenizer.Decode(ids, skipSpecialTokens);
        if (after.EndsWith('\uFFFD') && window.Count - given < LongestHeld) return "";
        return Give(before, after);
    }

    /// <summary>Ends the stream.</summary>
    /// <returns>What was still held back, with U+FFFD for bytes that form no character.</returns>
    public string Flush()
    {
        var ids = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(window);
        var rest = Give(tokenizer.Decode(ids[..given], skipSpecialTokens), tokenizer.Decode(ids, skipSpecialTokens));
        window.Clear();
        given = 0;
        return rest;
    }

    string Give(string before, string after)
    {
        var text = after.StartsWith(before, StringComparison.Ordinal) ? after[before.Length..] : after;
        // The ids just given stay as the context of the next ones.
        window.RemoveRange(0, given);
        given = window.Count;
        return text;
    }
}
