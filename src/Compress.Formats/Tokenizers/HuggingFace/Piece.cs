namespace Compress.Formats.Tokenizers.HuggingFace;

/// <summary>A part of the text on its way to the model.</summary>
/// <param name="Text">The part, normalized.</param>
/// <param name="First">Whether it begins where the text begins.</param>
readonly record struct Piece(string Text, bool First);
