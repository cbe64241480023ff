using System.Text;

namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>Turns tokens back into text, as a chain of rewrites of the list of tokens.</summary>
abstract class Decoder
{
    /// <summary>Rewrites the tokens; the text is what they give joined.</summary>
    internal abstract List<string> Decode(List<string> tokens);

    /// <summary>Decoders one after the other.</summary>
    internal sealed class Sequence(IReadOnlyList<Decoder> items) : Decoder
    {
        internal override List<string> Decode(List<string> tokens) => items.Aggregate(tokens, (current, item) => item.Decode(current));
    }

    /// <summary>Printable stand-ins back to bytes, read as UTF-8 over all tokens together.</summary>
    internal sealed class ByteLevel : Decoder
    {
        internal override List<string> Decode(List<string> tokens)
        {
            var bytes = new List<byte>(tokens.Count * 4);
            foreach (var token in tokens)
            {
                // A token with any character outside the alphabet was added as text and stands for itself.
                if (token.All(c => ByteAlphabet.ByteOf(c) >= 0))
                {
                    foreach (var c in token) bytes.Add((byte)ByteAlphabet.ByteOf(c));
                }
                else
                {
                    bytes.AddRange(Encoding.UTF8.GetBytes(token));
                }
            }
            return [Encoding.UTF8.GetString([.. bytes])];
        }
    }
}
