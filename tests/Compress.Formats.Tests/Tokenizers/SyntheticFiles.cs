using System.Buffers.Binary;
using System.Text;
using Compress.Formats.Tokenizers;

namespace Compress.Formats.Tests.Tokenizers;

/// <summary>Small tokenizer files in every format, made here.</summary>
static class SyntheticFiles
{
    internal const int Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, ByteValue = 6;
    internal const int Unigram = 1, Bpe = 2, Word = 3, Character = 4;

    /// <summary>A SentencePiece model. <paramref name="trainer"/> and <paramref name="normalizer"/> are further fields as number and varint.</summary>
    internal static byte[] SentencePiece(
        int kind, IEnumerable<(string Text, float Score, int Kind)> pieces, (int, int)[]? trainer = null, (int, int)[]? normalizer = null)
    {
        var model = new List<byte>();
        foreach (var (text, score, type) in pieces)
        {
            List<byte> piece = [.. Field(1, Encoding.UTF8.GetBytes(text)), 0x15];
            var bits = new byte[4];
            BinaryPrimitives.WriteSingleLittleEndian(bits, score);
            piece.AddRange(bits);
            piece.AddRange([0x18, (byte)type]);
            model.AddRange(Field(1, [.. piece]));
        }
        model.AddRange(Field(2, Numbers([(3, kind), .. trainer ?? []])));
        model.AddRange(Field(3, Numbers(normalizer ?? [])));
        return [.. model];
    }

    static byte[] Numbers((int Field, int Value)[] fields) => [.. fields.SelectMany(f => Varint(f.Field << 3).Concat(Varint(f.Value)))];

    static IEnumerable<byte> Field(int number, byte[] payload) => Varint(number << 3 | 2).Concat(Varint(payload.Length)).Concat(payload);

    static IEnumerable<byte> Varint(int value)
    {
        for (; value >= 0x80; value >>= 7) yield return (byte)(value | 0x80);
        yield return (byte)value;
    }

    /// <summary>A llama2.c vocabulary.</summary>
    internal static byte[] Llama2c(IEnumerable<(string Text, float Score)> tokens)
    {
        var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write(27);
        foreach (var (text, score) in tokens)
        {
            var bytes = Encoding.UTF8.GetBytes(text);
            writer.Write(score);
            writer.Write(bytes.Length);
            writer.Write(bytes);
        }
        return stream.ToArray();
    }

    /// <summary>The tokens that every llama2.c vocabulary begins with.</summary>
    internal static IEnumerable<(string Text, float Score)> Llama2cHead =>
        new[] { "<unk>", "\n<s>\n", "\n</s>\n" }.Concat(Enumerable.Range(0, 256).Select(b => $"<0x{b:X2}>")).Select(t => (t, 0f));

    /// <summary>A tiktoken rank file: the bytes, then the given tokens.</summary>
    internal static byte[] Tiktoken(params string[] tokens)
    {
        var bytes = Enumerable.Range(0, 256).Select(b => new[] { (byte)b }).Concat(tokens.Select(Encoding.UTF8.GetBytes));
        return Encoding.ASCII.GetBytes(string.Concat(bytes.Select((t, rank) => $"{Convert.ToBase64String(t)} {rank}\n")));
    }

    /// <summary>A trained <c>tokenizer.json</c>.</summary>
    internal static byte[] TokenizerJson()
    {
        using var folder = new TemporaryFolder();
        BpeTrainer.Train(["the cat and the hat and the bat"], new BpeTrainerOptions
        {
            VocabularySize = 270,
            SpecialTokens = ["<|bos|>"],
            BosToken = "<|bos|>",
        }).Save(folder.Path);
        return File.ReadAllBytes(Path.Combine(folder.Path, "tokenizer.json"));
    }

    /// <summary>Loads a tokenizer from bytes.</summary>
    internal static Tokenizer Load(string name, byte[] bytes, string? configuration = null)
    {
        using var folder = new TemporaryFolder();
        var file = Path.Combine(folder.Path, name);
        File.WriteAllBytes(file, bytes);
        if (configuration is not null) File.WriteAllText(Path.Combine(folder.Path, "tokenizer_config.json"), configuration);
        return Tokenizer.Load(file);
    }
}
