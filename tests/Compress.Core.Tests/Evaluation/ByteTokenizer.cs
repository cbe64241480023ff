using System.Text;
using Compress.Formats.Tokenizers;

namespace Compress.Core.Tests.Evaluation;

/// <summary>One token a UTF-8 byte (id = byte), with 256 as beginning of sequence: every number of a protocol can be counted by hand.</summary>
internal sealed class ByteTokenizer(bool addsBos) : Tokenizer
{
    public const int Bos = 256;

    public override int VocabularySize => 257;

    public override int? BosId => Bos;

    public override int? EosId => null;

    public override void Encode(string text, List<int> ids, bool addSpecialTokens = true)
    {
        if (addSpecialTokens && addsBos) ids.Add(Bos);
        ids.AddRange(Encoding.UTF8.GetBytes(text).Select(b => (int)b));
    }

    public override string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true)
    {
        var bytes = new List<byte>();
        foreach (var id in ids)
        {
            if (id < 256) bytes.Add((byte)id);
        }
        return Encoding.UTF8.GetString([.. bytes]);
    }

    public override string? TokenOf(int id) => id == Bos ? "<s>" : $"<0x{id:X2}>";

    public override int? IdOf(string token) => token == "<s>" ? Bos : null;
}
