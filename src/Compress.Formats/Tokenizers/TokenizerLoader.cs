using Compress.Formats.Tokenizers.HuggingFace;
using Compress.Formats.Tokenizers.SentencePiece;

namespace Compress.Formats.Tokenizers;

/// <summary>Finds a tokenizer's file in a folder and recognises its format.</summary>
static class TokenizerLoader
{
    const long MaximumFileLength = 256L << 20;
    static readonly string[] Names = ["tokenizer.json", "tokenizer.model", "spiece.model", "tokenizer.bin"];

    internal static Tokenizer Load(string folderOrFile)
    {
        var file = Find(folderOrFile);
        var bytes = ReadBytes(file);
        try
        {
            if (bytes.AsSpan().TrimStart("\uFEFF \t\r\n"u8) is [(byte)'{', ..]) return TokenizerJson.Read(file, bytes);
            if (TiktokenTokenizer.Recognises(bytes)) return TiktokenTokenizer.Read(file, bytes);
            if (Llama2cTokenizer.Recognises(bytes)) return Llama2cTokenizer.Read(file, bytes);
            // A SentencePiece model begins with its first piece: field 1, length-delimited.
            if (bytes is [0x0A, ..]) return new SentencePieceTokenizer(file, SentencePieceModel.Parse(bytes));
        }
        catch (FormatException e)
        {
            throw new ModelFileException(file, $"{e.Message}.", inner: e);
        }
        throw new ModelFileException(file, "is not a tokenizer of a known format.",
            "Give a Hugging Face tokenizer.json, a SentencePiece model, a tiktoken rank file or a llama2.c tokenizer.bin.");
    }

    static string Find(string folderOrFile)
    {
        if (File.Exists(folderOrFile)) return folderOrFile;
        if (!Directory.Exists(folderOrFile))
        {
            throw new ModelFileException(folderOrFile, "does not exist.", "Give a model folder or a tokenizer file.");
        }
        return Names.Select(name => Path.Combine(folderOrFile, name)).FirstOrDefault(File.Exists)
            ?? throw new ModelFileException(folderOrFile, $"has no tokenizer ({string.Join(", ", Names)}).",
                "Copy the tokenizer files of the original model into the folder.");
    }

    internal static byte[] ReadBytes(string file)
    {
        try
        {
            var length = new FileInfo(file).Length;
            if (length > MaximumFileLength) throw new ModelFileException(file, $"has {length} bytes, which is more than any tokenizer.");
            return File.ReadAllBytes(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelFileException(file, $"cannot be read: {e.Message}", inner: e);
        }
    }
}
