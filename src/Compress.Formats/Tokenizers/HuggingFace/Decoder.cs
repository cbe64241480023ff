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
        internal override List<string> Decode(List<string> tokens)
        {
            var current = tokens;
            foreach (var item in items)
            {
                current = item.Decode(current);
                Growth.Check(tokens.Sum(t => (long)t.Length), current.Sum(t => (long)t.Length));
            }
            return current;
        }
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

    /// <summary>A rewrite of each token on its own, by its place in the list.</summary>
    internal sealed class Each(Func<int, int, string, string> rewrite) : Decoder
    {
        internal override List<string> Decode(List<string> tokens) => [.. tokens.Select((token, i) => rewrite(i, tokens.Count, token))];
    }

    /// <summary>All tokens joined into one.</summary>
    internal sealed class Fuse : Decoder
    {
        internal override List<string> Decode(List<string> tokens) => [string.Concat(tokens)];
    }

    /// <summary>Runs of <c>&lt;0xNN&gt;</c> as UTF-8, one U+FFFD for each byte of a run that is not valid.</summary>
    internal sealed class ByteFallback : Decoder
    {
        static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

        internal override List<string> Decode(List<string> tokens)
        {
            var result = new List<string>(tokens.Count);
            var bytes = new List<byte>();
            foreach (var token in tokens)
            {
                if (ByteToken.TryParse(token, out var value))
                {
                    bytes.Add(value);
                    continue;
                }
                Flush(bytes, result);
                result.Add(token);
            }
            Flush(bytes, result);
            return result;
        }

        static void Flush(List<byte> bytes, List<string> result)
        {
            if (bytes.Count == 0) return;
            try
            {
                result.Add(Strict.GetString([.. bytes]));
            }
            catch (DecoderFallbackException)
            {
                result.AddRange(Enumerable.Repeat("\uFFFD", bytes.Count));
            }
            bytes.Clear();
        }
    }
}
