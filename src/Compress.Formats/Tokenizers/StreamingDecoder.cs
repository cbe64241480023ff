using System.Runtime.InteropServices;

namespace Compress.Formats.Tokenizers;

/// <summary>Decodes ids one at a time, giving text as soon as it can no longer change (for generation on a screen).</summary>
/// <remarks>
/// A character may be spread over several tokens and a decoder may treat the first token specially, so a short window of recent ids is
/// decoded twice, without and with the new id, and the difference is given out. While the text ends in U+FFFD it is held back: the
/// bytes that complete the character may follow. What is given out, joined, is the text of all ids decoded at once. Not safe for use
/// from several threads.
/// </remarks>
public sealed class StreamingDecoder
{
    // A character of UTF-8 still lacks a byte after at most three.
    const int LongestIncomplete = 3;
    const int LongestHeld = 16;
    const int LongestContext = 256;
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
        if (!Decode(window.Count).EndsWith('\uFFFD')) return Give(window.Count);
        return window.Count - given < LongestHeld ? "" : Give(window.Count - LongestIncomplete);
    }

    /// <summary>Ends the stream.</summary>
    /// <returns>What was still held back, with U+FFFD for bytes that form no character.</returns>
    public string Flush()
    {
        var rest = Give(window.Count);
        window.Clear();
        given = 0;
        return rest;
    }

    string Decode(int count) => tokenizer.Decode(CollectionsMarshal.AsSpan(window)[..count], skipSpecialTokens);

    string Give(int count)
    {
        var (before, after) = (Decode(given), Decode(count));
        var text = after.StartsWith(before, StringComparison.Ordinal) ? after[before.Length..] : after;
        // What was just given is the context of what follows; ids without text cannot be, since they would make the next one first.
        if (text.Length > 0 || given > LongestContext)
        {
            window.RemoveRange(0, given);
            count -= given;
        }
        given = count;
        return text;
    }
}
