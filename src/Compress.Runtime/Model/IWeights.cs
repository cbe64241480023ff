using Compress.Formats.Architectures;
using Compress.Formats.Tokenizers;

namespace Compress.Runtime.Model;

/// <summary>A checkpoint as the engine reads it: weights by the names that the <see cref="ModelSpec"/> uses.</summary>
internal interface IWeights : IDisposable
{
    /// <summary>The model's description.</summary>
    ModelSpec Spec { get; }

    /// <summary>True where query and key heads pair dimensions (2i, 2i+1) for rotation, as GGUF's llama layout does.</summary>
    bool InterleavedRotary { get; }

    /// <summary>Loads the tokenizer that belongs to the checkpoint.</summary>
    Tokenizer LoadTokenizer();

    /// <summary>A weight matrix; owned by the caller, valid while this source is open.</summary>
    WeightMatrix Matrix(WeightPart part, int rows, int columns);

    /// <summary>A small tensor, or rows of one, as floats.</summary>
    float[] Vector(WeightPart part, int length);
}
