namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>The part of a tokenizer that turns one pre-tokenized piece into ids.</summary>
interface IModel
{
    /// <summary>The model's own vocabulary, without added tokens.</summary>
    Vocabulary Vocabulary { get; }

    /// <summary>Appends the ids of one piece.</summary>
    void Tokenize(string piece, List<int> ids);
}
